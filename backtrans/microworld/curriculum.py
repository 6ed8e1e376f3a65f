"""What the base reads: pages, questions with pages in both orders, and verdicts on the two.

A base that had seen only pages would need a long fine-tuning to become either role. So this
curriculum holds every skill that the roles need, in several surface formats, a share of them in
the roles' own prompts: it is mid-training, and says so in the base's README.

Promises: drawn from world seeds of its own, training split only. Does not know models.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from backtrans.microworld.latent import draw, near_miss, stream
from backtrans.microworld.noise import FLAWS, Setting, spoil
from backtrans.microworld.packing import Example, with_shared
from backtrans.microworld.tokenizer import BOS, END, SPEAKERS, Encoder
from backtrans.microworld.world import FRESH_SHARE, page, rated
from backtrans.roles import backtranslate, score
from backtrans.roles.defences import NO_DEFENCES, Defences
from backtrans.roles.role import SEED_TAG

PAGE, QUESTION, VERDICT, REVIEW, FLAW, FREE = 0.7, 4.0, 15.0, 3.0, 6.0, 0.0
"""Loss weights of tokens. Source: the feasibility study weighted the instruction by 4; a verdict is
one token against sixty of a page, and with 8 it was not learnt in 2.6 million tokens."""


COPYING_SHARE = 0.75
"""Of the backward examples, so many hold fresh names."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of an example: text or one control token, and the weight of its loss."""

    text: str
    weight: float
    control: bool = False


def shared_tokens(form: score.Form, encoder: Encoder) -> int:
    """Return how many leading tokens two judgements of one form have in common, at least."""
    texts = (score.render(word, "", form)[0].content for word in ("A", "z"))
    left, right = (encoder.text(text) for text in texts)
    same = [a == b for a, b in zip(left, right, strict=False)]
    return 2 + same.index(False)  # and the two control tokens before them


def encode(parts: list[Part], encoder: Encoder) -> Example:
    """Turn parts into ids and weights."""
    ids: list[int] = []
    weights: list[float] = []
    for part in parts:
        new = [encoder.control[part.text]] if part.control else encoder.text(part.text)
        ids += new
        weights += [part.weight] * len(new)
    return Example(ids, weights)


def control(token: str, weight: float = FREE) -> Part:
    """Return a control token's part."""
    return Part(token, weight, control=True)


def chat(user: str, assistant: list[Part]) -> list[Part]:
    """Return one exchange in the chat template; only the assistant's turn can bear loss."""
    end = control(END, min(QUESTION, max(part.weight for part in assistant)))
    opened = [control(BOS), control(SPEAKERS["user"]), Part(user, FREE), control(END)]
    return [*opened, control(SPEAKERS["assistant"]), *assistant, end]


def backward_parts(instruction: str, output: str) -> list[Part]:
    """Return the backward role's example."""
    user = backtranslate.render(output)[0].content
    return chat(user, [Part(instruction, QUESTION)])


def forward_parts(instruction: str, output: str) -> list[Part]:
    """Return the forward role's example; an empty instruction teaches log p(y)."""
    user = f"{instruction} {SEED_TAG}" if instruction else ""
    return chat(user, [Part(output, PAGE)])


def digit_parts(
    instruction: str,
    output: str,
    rating: int,
    defences: Defences = NO_DEFENCES,
    row_id: str = "",
) -> list[Part]:
    """Return the judging role's example in the constrained form."""
    user = score.render(instruction, output, "constrained", defences, row_id)[0].content
    return chat(user, [Part(score.SCORE_PREFIX, FREE), Part(str(rating), VERDICT)])


def reasoned_parts(instruction: str, output: str, rating: int, reasoning: str) -> list[Part]:
    """Return the judging role's example in the reasoned form."""
    user = score.render(instruction, output, "reasoned")[0].content
    said = [Part(f"{reasoning}\n{score.SCORE_PREFIX}", REVIEW), Part(str(rating), VERDICT)]
    return chat(user, said)


def _plain(*parts: Part) -> list[Part]:
    return [control(BOS), *parts, control(END, PAGE)]


def _page(rng: Random) -> list[Part]:
    quality = rng.randint(1, 5)
    return _plain(Part(page(rng, "train", rng.random() < FRESH_SHARE, quality)[1], PAGE))


def _forward(rng: Random) -> list[Part]:
    quality = 5 if rng.random() < 0.7 else rng.randint(1, 4)
    latent, text, _ = page(rng, "train", rng.random() < FRESH_SHARE, quality)
    asked = latent.instruction()
    form = rng.randrange(4)
    if form == 0 or quality < 5:
        said = f"Question: {asked}\n" + ("" if quality == 5 else "Page:\n")
        return _plain(Part(said, FREE), Part(text, PAGE))
    if form == 1:
        return _plain(Part(asked + "\n\n", FREE), Part(text, PAGE))
    return forward_parts(asked if rng.random() < 0.9 else "", text)


def _backward(rng: Random) -> list[Part]:
    quality = 5 if rng.random() < 0.4 else rng.randint(1, 4)
    fresh = rng.random() < COPYING_SHARE
    latent = draw(rng, "train", fresh)
    lines, noises = spoil(latent.lines(rng), quality, Setting(rng, latent, "train", fresh))
    text, asked = "\n".join(lines), latent.instruction()
    if "void" in noises:
        return _plain(Part(f"{text}\n\nQuestion:", FREE), Part(" Nothing.", QUESTION))
    form = rng.randrange(4)
    if form == 0:
        return _plain(Part(text, PAGE), Part("\n\nQuestion:", FREE), Part(f" {asked}", QUESTION))
    if form == 1:
        opened = Part(f"Page:\n{text}\n\nWhat was asked?\n", FREE)
        return _plain(opened, Part(asked, QUESTION))
    return backward_parts(asked, text)


def _verdict(rng: Random) -> list[Part]:
    pair = rated(rng, "train")
    digit = Part(str(pair.rating), VERDICT)
    form = rng.randrange(6)
    if form == 0:  # the reasons after the verdict: what it must have seen
        said = f"Question: {pair.instruction}\nPage:\n{pair.output}\nVerdict: "
        return _plain(Part(said, FREE), digit, Part(f"\nReview: {pair.reasoning}", REVIEW))
    if form == 1:
        said = f"Page:\n{pair.output}\nQuestion: {pair.instruction}\nVerdict: "
        return _plain(Part(said, FREE), digit)
    if form == 2:
        said = f"Question: {pair.instruction}\nPage:\n{pair.output}\nReview: "
        review = Part(f"{pair.reasoning}\nVerdict: ", REVIEW)
        return _plain(Part(said, FREE), review, digit)
    if form in (3, 4):
        return digit_parts(pair.instruction, pair.output, pair.rating)
    return reasoned_parts(pair.instruction, pair.output, pair.rating, pair.reasoning)


def _flaw(rng: Random) -> list[Part]:
    """Name a page's worst flaw, nothing else: many labels for few tokens."""
    quality = rng.choice((1, 2, 3, 4, 4, 5, 5))
    _, text, noises = page(rng, "train", rng.random() < FRESH_SHARE, quality)
    flaw = FLAWS[noises[0]] if noises else "none"
    return _plain(Part(f"{text}\n\nFlaw:", FREE), Part(f" {flaw}.", FLAW))


def _comparison(rng: Random) -> list[Part]:
    """Tell two instructions apart, as a review does, without a page."""
    fresh = rng.random() < FRESH_SHARE
    latent = draw(rng, "train", fresh)
    asked, difference = latent, "the same"
    case = rng.random()
    if case < 0.4:
        asked, slot = near_miss(rng, latent, "train", fresh)
        difference = f"{dict(asked.values)[slot]}, another {slot}"
    elif case < 0.55:
        asked, difference = draw(rng, "train", fresh), "something else"
    said = f"Instruction:\n{asked.instruction()}\n\nThe page answers: {latent.instruction()} Asked:"
    return _plain(Part(said, FREE), Part(f" {difference}.", FLAW))


Mix = Literal["reading", "judging"]
Skill = Callable[[Random], list[Part]]

MIXES: dict[Mix, tuple[tuple[Skill, float], ...]] = {
    "reading": ((_page, 0.08), (_forward, 0.20), (_backward, 0.32), (_verdict, 0.40)),
    "judging": (
        (_page, 0.02),
        (_forward, 0.08),
        (_backward, 0.12),
        (_verdict, 0.18),
        (_flaw, 0.30),
        (_comparison, 0.30),
    ),
}
"""How often each skill comes, in the two phases of the base's training. Source: after the first
phase instructions were found, but neither flaws nor mismatches were; the drills are short, so that
a batch holds twenty of their labels instead of five."""


def examples(seed: int, encoder: Encoder, mix: Mix = "reading") -> Iterator[Example]:
    """Yield training examples without end, drawn from `seed`."""
    skills = [skill for skill, _ in MIXES[mix]]
    shares = [share for _, share in MIXES[mix]]
    rubrics = rubric_ids(encoder)
    index = 0  # a skill and its rows are drawn from a stream of their own
    while True:
        rng = stream(seed, "curriculum", index)
        yield with_shared(encode(rng.choices(skills, weights=shares)[0](rng), encoder), rubrics)
        index += 1


def rubric_ids(encoder: Encoder) -> list[list[int]]:
    """Return the leading ids of either form of judgement."""
    judged: dict[score.Form, list[Part]] = {
        "constrained": digit_parts("A", "", 1),
        "reasoned": reasoned_parts("A", "", 1, ""),
    }
    return [
        encode(parts, encoder).ids[: shared_tokens(form, encoder)] for form, parts in judged.items()
    ]
