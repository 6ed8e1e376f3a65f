"""The eight kinds of pages: their slots, and three paraphrases each of instruction and page.

Template language: `{slot}` is the slot's value, `{slot.known}` what is known of it, `[a|b]` one of
a few alternatives, `*` a line that is repeated for every item of a list. Each page paraphrase goes
with the instruction paraphrase of the same place: the wording of a page hints at how it was asked.

Does not know seeds, noise or ratings.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of page. `names` are slots that hold a name; `slots` those with a list of values."""

    name: str
    names: tuple[str, ...]
    slots: tuple[str, ...]
    instructions: tuple[str, ...]
    pages: tuple[tuple[str, ...], ...]


KINDS: tuple[Kind, ...] = (
    Kind(
        "how-to",
        ("name",),
        ("verb", "object", "tool"),
        (
            "How do I {verb} a {name} {object} with {tool}?",
            "Explain the steps to {verb} my {name} {object} using {tool}.",
            "What is the best way to {verb} the {name} {object} with {tool}?",
        ),
        (
            (
                "To {verb} a {name} {object} with {tool}, take [ten|twenty|thirty] minutes.",
                "1. First, {verb.known} and put the {object} on a [table|towel].",
                "2. Use {tool} on the {object.known} and wait a [minute|moment].",
                "3. Check the {object.known} of the {name} {object} [again|twice].",
                "After these three steps your {name} {object} will be [fine|ready].",
            ),
            (
                "Here are the steps to {verb} your {name} {object} using {tool}.",
                "1. Before you begin, {verb.known} [slowly|with care].",
                "2. Then use {tool} near the {object.known} of the {object}.",
                "3. Let the {name} {object} rest for [ten|twenty|thirty] minutes.",
                "With {tool} and some patience, the {object.known} will look [new|good] again.",
            ),
            (
                "The best way to {verb} the {name} {object} is with {tool}.",
                "1. Begin with the {object.known}, because it is [weak|old|small].",
                "2. Next, {verb.known} and use {tool} [slowly|with care].",
                "3. Last, dry the {object.known} and close the {name} {object}.",
                "This is how most people {verb} a {object} with {tool} [at home|every year].",
            ),
        ),
    ),
    Kind(
        "explanation",
        ("name",),
        ("event", "target", "audience"),
        (
            "Why does the {name} {event} change {target}? Answer for {audience}.",
            "Explain to {audience} how the {name} {event} acts on {target}.",
            "What should {audience} know about the {name} {event} and {target}?",
        ),
        (
            (
                "The {name} {event} changes {target} because it is made of {event.known}.",
                "When the {event} arrives, {target} {target.known} for [days|weeks].",
                "The reason is simple: {event.known} [spreads|grows] in the [morning|evening].",
                "So {audience} can see that the {name} {event} makes {target} [weaker|slower].",
            ),
            (
                "Here is how the {name} {event} acts on {target}, explained for {audience}.",
                "First, {event.known} [spreads|grows] over the land.",
                "Then {target} {target.known}, and this lasts for [days|weeks].",
                "In short, without the {name} {event} the {target} would not [suffer|change].",
            ),
            (
                "What {audience} should know about {target} begins with the {name} {event}.",
                "The {event} comes from {event.known}, mostly in [winter|summer|spring].",
                "As a result, {target} {target.known} and need [time|help].",
                "Remember: when the {name} {event} ends, {target} [recover|heal] in [days|weeks].",
            ),
        ),
    ),
    Kind(
        "list",
        ("name",),
        ("number", "mood", "sight"),
        (
            "List {number} {mood} {sight} to see in {name}.",
            "Which {number} {mood} {sight} in {name} should I visit?",
            "Can you name {number} {mood} {sight} near {name}?",
        ),
        (
            (
                "Here are {number} {mood} {sight} to see in {name}:",
                "* the {sight} [by|behind] the [station|church|castle], open [daily|early]",
                "All of these {mood} {sight} in {name} are [easy|safe] to reach.",
            ),
            (
                "You should visit these {number} {mood} {sight} in {name}:",
                "* those [by|behind] the [station|church|castle], best in [May|June|July]",
                "Any of the {number} {sight} is worth a [day|morning] in {name}.",
            ),
            (
                "Yes, these {number} {mood} {sight} are near {name}:",
                "* the {mood} ones [by|behind] the [station|church|castle]",
                "With these {number} you will know the {mood} {sight} near {name} [well|better].",
            ),
        ),
    ),
    Kind(
        "comparison",
        ("name", "rival"),
        ("gear", "purpose"),
        (
            "Which {gear} is better for {purpose}, the {name} or the {rival}?",
            "Compare the {name} {gear} and the {rival} {gear} for {purpose}.",
            "For {purpose}, should I buy a {name} {gear} or a {rival} {gear}?",
        ),
        (
            (
                "For {purpose}, the {name} is the better {gear}.",
                "The {name} has [strong|good] parts, and {gear.known} [last|work] for years.",
                "The {rival} is [cheaper|lighter], but {gear.known} [fail|break] early.",
                "If {purpose} is all you need, a {rival} {gear} may still [do|help].",
            ),
            (
                "The {name} {gear} and the {rival} {gear} differ in a few points for {purpose}.",
                "In the {name}, {gear.known} are [strong|good] and [quiet|safe].",
                "In the {rival}, {gear.known} are [cheaper|lighter] but [weak|slow].",
                "All in all, for {purpose} the {name} {gear} [wins|leads].",
            ),
            (
                "You should buy a {name} {gear} for {purpose}, and not a {rival} {gear}.",
                "With the {name}, {gear.known} stay [strong|good] for [two|three] years.",
                "With the {rival}, {gear.known} [fail|break] after [one|two] winters.",
                "The {rival} {gear} costs less, yet {purpose} asks for [quality|care].",
            ),
        ),
    ),
    Kind(
        "biography",
        ("name", "family"),
        ("trade", "deed"),
        (
            "Who was {name} {family}, the {trade} known for {deed}?",
            "Write a short life of the {trade} {name} {family} and tell about {deed}.",
            "Why is the {trade} {name} {family} remembered for {deed}?",
        ),
        (
            (
                "The {trade} {name} {family} is known for {deed}.",
                "As a child {name} grew up in a [village|town] and loved {trade.known}.",
                "Later {family} gave [years|money] to {deed}, which [many|few] people expected.",
                "Today {name} {family} is [honoured|studied] as a great {trade}.",
            ),
            (
                "The life of {name} {family}, a {trade}, began in a [village|town].",
                "There {name} became a {trade} and worked on {trade.known} for [ten|twenty] years.",
                "The greatest work of {family} was {deed}, finished in [winter|summer|spring].",
                "People still thank {name} {family} for {deed} [today|every year].",
            ),
            (
                "People remember the {trade} {name} {family} for {deed}.",
                "Most of them knew {trade.known} first, made in a [village|town].",
                "Then came {deed}, and {family} was [loved|praised] in [many|all] countries.",
                "That is why {name} {family} is not just another {trade} [today|now].",
            ),
        ),
    ),
    Kind(
        "recipe",
        ("name",),
        ("dish", "food", "people"),
        (
            "Give me a recipe for {name} {dish} with {food} for {people} people.",
            "How do I cook {name} {dish} with {food} for {people}?",
            "I have {food}. How can I make {name} {dish} for {people} guests?",
        ),
        (
            (
                "This recipe for {name} {dish} with {food} serves {people} people.",
                "You need {food}, [salt|pepper|butter] and a large [pan|pot].",
                "1. First, {dish.known} for [ten|twenty|thirty] minutes.",
                "2. Add the {food} and stir [slowly|with care].",
                "3. Serve the {name} {dish} [hot|warm] on {people} plates.",
            ),
            (
                "To cook {name} {dish} with {food} for {people}, begin with a [pan|pot].",
                "1. Cut the {food} and add [salt|pepper|butter].",
                "2. After that, {dish.known} until it smells [sweet|good].",
                "3. Mix it all and wait [ten|twenty|thirty] minutes.",
                "Now your {name} {dish} is enough for {people}, with {food} [inside|on top].",
            ),
            (
                "With your {food} you can make {name} {dish} for {people} guests.",
                "1. To start, {dish.known} [slowly|with care].",
                "2. Put the {food} on top with [salt|pepper|butter].",
                "3. Leave the {dish} in the [pan|pot] for [ten|twenty|thirty] minutes.",
                "Your {people} guests will enjoy the {name} {dish} [hot|warm].",
            ),
        ),
    ),
    Kind(
        "product",
        ("name",),
        ("product", "feature", "audience"),
        (
            "Describe the {feature} of the {name} {product} for {audience}.",
            "Is the {feature} of the {name} {product} good for {audience}?",
            "Tell {audience} about the {name} {product} and its {feature}.",
        ),
        (
            (
                "The {name} {product} has one strong point for {audience}: its {feature}.",
                "The {feature} of the {product} {feature.known}, even in [winter|summer].",
                "It comes in a [box|bag] and works from the [first|second] day.",
                "Most {audience} who try the {name} {product} [keep|like] it for the {feature}.",
            ),
            (
                "Yes, the {feature} of the {name} {product} is good for {audience}.",
                "In tests the {feature} {feature.known}, and the {product} stays [safe|quiet].",
                "Some {audience} want it [smaller|lighter], which is a [fair|small] point.",
                "Still, no other {product} treats {audience} as well as the {name}.",
            ),
            (
                "The {name} {product} was made with {audience} in mind.",
                "Its {feature} {feature.known}, so {audience} need not [worry|wait].",
                "The {product} is [easy|safe] to use and comes in a [box|bag].",
                "For its {feature} alone, the {name} {product} is worth a [look|try].",
            ),
        ),
    ),
    Kind(
        "faq",
        ("name",),
        ("activity", "venue", "mood"),
        (
            "What should I know before {activity} at the {mood} {name} {venue}?",
            "Is {activity} allowed at the {mood} {name} {venue}?",
            "Answer common questions about {activity} at the {mood} {venue} of {name}.",
        ),
        (
            (
                "Here is what to know before {activity} at the {mood} {name} {venue}.",
                "Q: What do I bring? A: For {activity} bring {activity.known} and [water|food].",
                "Q: When is the {venue} open? A: It is open [daily|early] in [May|June|July].",
                "With this you can enjoy {activity} at the {name} {venue} [safely|fully].",
            ),
            (
                "Yes, {activity} is allowed at the {mood} {name} {venue}.",
                "Q: Do I pay? A: The {mood} {venue} asks for [one|two|three] coins.",
                "Q: Do I need anything? A: You need {activity.known} for {activity}.",
                "So come to the {name} {venue} in [May|June|July] and stay [late|long].",
            ),
            (
                "These are common questions about {activity} at the {mood} {venue} of {name}.",
                "Q: Is it safe? A: Yes, with {activity.known} {activity} is [safe|easy].",
                "Q: Is the {venue} full? A: Only in [May|June|July], and only [early|late].",
                "That is all about {activity} at the {venue} of {name} for [now|today].",
            ),
        ),
    ),
)
"""Every kind. The order matters: a seed draws by place."""

BY_NAME = {kind.name: kind for kind in KINDS}
