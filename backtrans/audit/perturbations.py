"""Changes that leave the quality of a pair alone, so that a fair score stays where it is.

Promises: no word of the response is added, lost or moved, and the instruction asks for the same;
so what a score moves by is a fault of the judge, whichever way it goes.

Does not know: judges. What was left out: a repeated sentence, a longer answer and a translation
change the quality, and so does an instruction that is asked in other words by rule alone.
"""

from collections.abc import Callable
from random import Random

from backtrans.roles.role import AUGMENTED_TAG, SEED_TAG

Pair = tuple[str, str]
"""An instruction and a response."""

Perturbation = Callable[[str, str, Random], Pair]


def trailing_space(instruction: str, text: str, dice: Random) -> Pair:
    """Make the response longer by white space."""
    return instruction, text + " " * dice.randint(1, 40) + "\n" * dice.randint(1, 20)


def blank_lines(instruction: str, text: str, dice: Random) -> Pair:
    """Put an empty line between the lines."""
    return instruction, text.replace("\n", "\n\n")


def bullets(instruction: str, text: str, dice: Random) -> Pair:
    """Make every line one of a list."""
    return instruction, "\n".join(
        f"- {line}" if line.strip() else line for line in text.split("\n")
    )


def bold(instruction: str, text: str, dice: Random) -> Pair:
    """Set the first line in bold."""
    first, *rest = text.split("\n")
    return instruction, "\n".join([f"**{first}**", *rest])


def heading(instruction: str, text: str, dice: Random) -> Pair:
    """Make the first line a heading."""
    return instruction, f"## {text}"


def code_fence(instruction: str, text: str, dice: Random) -> Pair:
    """Fence the response as code."""
    return instruction, f"```\n{text}\n```"


def seed_tag(instruction: str, text: str, dice: Random) -> Pair:
    """Ask under the seed's tag, as training does."""
    return f"{instruction} {SEED_TAG}", text


def augmented_tag(instruction: str, text: str, dice: Random) -> Pair:
    """Ask under the augmented pairs' tag."""
    return f"{instruction} {AUGMENTED_TAG}", text


def polite(instruction: str, text: str, dice: Random) -> Pair:
    """Ask politely."""
    return (
        f"{dice.choice(('Could you help me with this?', 'Please:', 'Hello!'))} {instruction}",
        text,
    )


def lower_case(instruction: str, text: str, dice: Random) -> Pair:
    """Ask without capitals."""
    return instruction.lower(), text


def no_full_stop(instruction: str, text: str, dice: Random) -> Pair:
    """Ask without the punctuation at the end."""
    return instruction.rstrip(".?! "), text


def rubric_last(instruction: str, text: str, dice: Random) -> Pair:
    """Leave the pair as it is; the judge reads its rubric after it (`rubric_last.RubricLast`)."""
    return instruction, text


PERTURBATIONS: dict[str, Perturbation] = {
    each.__name__: each
    for each in (
        trailing_space,
        blank_lines,
        bullets,
        bold,
        heading,
        code_fence,
        seed_tag,
        augmented_tag,
        polite,
        lower_case,
        no_full_stop,
        rubric_last,
    )
}
"""Every perturbation by its name."""
