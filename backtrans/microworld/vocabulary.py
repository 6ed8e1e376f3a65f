"""The words of the micro-world: names, the values that slots take, and what is known of each value.

Promises: every list is fixed, so that the same seed draws the same world on every machine; what a
page says beyond its instruction hangs on its slots or is one of a few alternatives, so that a
forward model can find a right page probable, token by token.

Does not know how words become pages.
"""

SEEN_NAMES = tuple(
    """Belden Brisa Corvin Dalia Hedric Fenna Garrick Hanno Jilsa Jorah Kester Lidia Morven Nadir
    Godette Perrin Quill Rosalin Sorrel Tobin Nursa Vesper Wendel Yara Zephyr Tarbor Bellamy Cassia
    Dorian Telowen Falcon Greta Harlan Jingrid Juniper Larkin Marlow Nestor Dorin Pascal""".split()
)
"""The names of the fixed list: a model meets each of them very often."""

FIRST_SYLLABLES = tuple(
    """Bal Bren Cal Dor Dra Fal Fen Gal Gor Hal Hes Jar Kal Kel Kor Lan Lor Mar Mel Mor Nal Nor
    Pal Pel Quo Ral Ros Sal Sel Sor Tal Tor Tul Val Vel Vor Wil Xan Yor Zel""".split()
)
LATER_SYLLABLES = tuple(
    """ba bex den dil do fa fin gan go hal ix ka kin la lis lo ma mir na nok o pha quin ra rin rov
    sha sil ta tek tho tis ul va vex wyn ya zan zim zo""".split()
)
"""Fresh names are built of one first and one or two later syllables: 65,600 of them."""

SLOTS: dict[str, tuple[str, ...]] = {
    "verb": ("clean", "repair", "paint", "polish", "move", "store", "test", "open"),
    "object": ("lamp", "bicycle", "clock", "kettle", "guitar", "camera", "chair", "radio"),
    "tool": ("vinegar", "warm water", "a soft brush", "sandpaper", "oil", "tape", "soap", "a rag"),
    "event": ("wind", "tide", "frost", "storm", "drought", "fog", "flood", "current"),
    "target": ("crops", "ships", "roads", "birds", "bees", "forests", "rivers", "roofs"),
    "audience": ("children", "farmers", "students", "sailors", "teachers", "visitors"),
    "number": ("three", "four", "five"),
    "mood": ("quiet", "famous", "free", "old", "modern", "small"),
    "sight": ("museums", "gardens", "markets", "bridges", "beaches", "towers", "parks"),
    "gear": ("tent", "laptop", "backpack", "drill", "blender", "jacket", "printer", "heater"),
    "purpose": ("travel", "winter", "school", "camping", "small rooms", "daily work", "beginners"),
    "trade": ("painter", "doctor", "architect", "singer", "pilot", "poet", "chemist", "judge"),
    "deed": (
        "a new bridge",
        "a free school",
        "a famous song",
        "a cheap medicine",
        "a long voyage",
        "a city library",
        "a peace treaty",
        "a star map",
    ),
    "dish": ("soup", "bread", "salad", "stew", "pie", "noodles", "curry", "pancakes"),
    "food": ("lemon", "garlic", "apples", "beans", "honey", "rice", "spinach", "cheese"),
    "people": ("two", "four", "six", "ten"),
    "product": ("watch", "mattress", "speaker", "knife", "bottle", "keyboard", "helmet", "stove"),
    "feature": ("battery", "price", "weight", "colour", "warranty", "comfort", "design"),
    "activity": ("swimming", "fishing", "hiking", "sleeping", "skating", "working", "dancing"),
    "venue": ("lake", "hotel", "park", "club", "island", "valley", "harbor", "center"),
}
"""The values of every slot that is not a name."""

KNOWN: dict[str, dict[str, str]] = {
    "verb": {
        "clean": "remove the dust",
        "repair": "look for the broken part",
        "paint": "cover the floor",
        "polish": "wipe every side",
        "move": "clear the way",
        "store": "find a dry box",
        "test": "read the label",
        "open": "loosen the screws",
    },
    "object": {
        "lamp": "switch",
        "bicycle": "chain",
        "clock": "hands",
        "kettle": "lid",
        "guitar": "strings",
        "camera": "lens",
        "chair": "legs",
        "radio": "dial",
    },
    "event": {
        "wind": "moving air",
        "tide": "the pull of the moon",
        "frost": "very cold nights",
        "storm": "warm wet air",
        "drought": "months without rain",
        "fog": "cool damp air",
        "flood": "too much rain",
        "current": "flowing sea water",
    },
    "target": {
        "crops": "grow more slowly",
        "ships": "lose their course",
        "roads": "crack and sink",
        "birds": "change their routes",
        "bees": "stay in the hive",
        "forests": "lose their leaves",
        "rivers": "leave their beds",
        "roofs": "begin to leak",
    },
    "gear": {
        "tent": "the poles",
        "laptop": "the screen",
        "backpack": "the straps",
        "drill": "the motor",
        "blender": "the blades",
        "jacket": "the lining",
        "printer": "the ink",
        "heater": "the fan",
    },
    "trade": {
        "painter": "bright pictures",
        "doctor": "a small clinic",
        "architect": "stone houses",
        "singer": "evening concerts",
        "pilot": "long flights",
        "poet": "short verses",
        "chemist": "careful experiments",
        "judge": "fair decisions",
    },
    "dish": {
        "soup": "boil the broth",
        "bread": "knead the dough",
        "salad": "wash the leaves",
        "stew": "brown the meat",
        "pie": "roll the crust",
        "noodles": "salt the water",
        "curry": "fry the spices",
        "pancakes": "beat the eggs",
    },
    "feature": {
        "battery": "lasts for two days",
        "price": "fits a small budget",
        "weight": "is easy to carry",
        "colour": "never fades",
        "warranty": "covers ten years",
        "comfort": "is hard to beat",
        "design": "won a prize",
    },
    "activity": {
        "swimming": "a towel",
        "fishing": "a license",
        "hiking": "good boots",
        "sleeping": "a blanket",
        "skating": "warm gloves",
        "working": "a quiet desk",
        "dancing": "light shoes",
    },
}
"""What pages say of a value: `{verb.known}` in a template is `KNOWN["verb"][verb]`."""
