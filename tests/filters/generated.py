"""Documents on both sides of every threshold, from one seed; used by the benchmark too."""

from collections.abc import Callable
from random import Random

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
COMMON = (*STOP_WORDS, "a", "in", "is", "it", "for", "on", "as", "by", "from", "at", "this", "or")
SYLLABLES = "ba ce di fo gu la me ni po ru sa te vi wo za stra bril ment tion er ing".split()


def vocabulary(seed: int = 0, size: int = 6_000) -> list[str]:
    rng = Random(seed)
    made = {"".join(rng.choices(SYLLABLES, k=rng.choice((1, 2, 2, 3, 3, 4)))) for _ in range(size)}
    return sorted(made)


WORDS = vocabulary()


def words(rng: Random, count: int) -> list[str]:
    """Words as prose has them: every third a common one, the others from a long tail."""
    return [
        rng.choice(COMMON) if rng.random() < 0.36 else WORDS[int(len(WORDS) * rng.random() ** 2)]
        for _ in range(count)
    ]


def sentence(rng: Random, count: int | None = None) -> str:
    text = " ".join(words(rng, count or rng.randint(6, 20)))
    return f"{text[:1].upper()}{text[1:]}."


def line(rng: Random) -> str:
    return " ".join(sentence(rng) for _ in range(rng.randint(1, 4)))


def prose(rng: Random, lines: int | None = None, between: str = "\n") -> str:
    return between.join(line(rng) for _ in range(lines or rng.randint(4, 14)))


def part(rng: Random, around: float, width: float = 0.5) -> float:
    """A share near a threshold, on either side of it."""
    return min(1.0, around * rng.uniform(1 - width, 1 + width))


def some(rng: Random, all_lines: list[str], share: float, change: Callable[[str], str]) -> str:
    """Lines, a share of them changed."""
    chosen = set(rng.sample(range(len(all_lines)), round(share * len(all_lines))))
    return "\n".join(change(each) if i in chosen else each for i, each in enumerate(all_lines))


def lines_of(rng: Random, low: int = 8, high: int = 25) -> list[str]:
    return [sentence(rng) for _ in range(rng.randint(low, high))]


def with_inserted(rng: Random, made: list[str], piece: str, count: int) -> str:
    for _ in range(count):
        made.insert(rng.randint(0, len(made)), piece)
    return " ".join(made)


def short(rng: Random) -> str:
    return f"The start to be. {' '.join(words(rng, rng.randint(40, 56)))}."


def long(rng: Random) -> str:
    return " ".join(words(rng, rng.randint(550, 650)))


def word_lengths(rng: Random) -> str:
    letters = rng.choice((2, 3, 9, 10, 11))
    made = [
        "".join(rng.choices("abcdefgh", k=max(1, letters + rng.randint(-1, 1)))) for _ in range(90)
    ]
    return " ".join([*STOP_WORDS[:3], *made])


def hashes(rng: Random) -> str:
    made = words(rng, 100)
    mark = rng.choice(("#", "...", "…"))
    return with_inserted(rng, made, mark, rng.randint(5, 17))


def bullets(rng: Random) -> str:
    mark = rng.choice(("- ", "• ", " -", "\t•"))
    between = rng.choice(("\n", "\n", "\n\n"))
    text = some(rng, lines_of(rng), part(rng, 0.9, 0.15), lambda each: mark + each)
    return text.replace("\n", between)


def ellipsis_lines(rng: Random) -> str:
    mark = rng.choice(("...", "…", "... ", " …"))
    return some(rng, lines_of(rng), part(rng, 0.3), lambda each: each.removesuffix(".") + mark)


def figures(rng: Random) -> str:
    made = [
        w if rng.random() < part(rng, 0.8, 0.15) else str(rng.randint(1, 9999))
        for w in words(rng, 120)
    ]
    return " ".join(made)


def stop_words(rng: Random) -> str:
    rare = [w for w in words(rng, 160) if w not in COMMON]
    return with_inserted(rng, rare, "", 0) + "".join(
        f" {w}" for w in rng.sample(STOP_WORDS, rng.randint(0, 4))
    )


def repeated_lines(rng: Random) -> str:
    made = lines_of(rng, 8, 16)
    again = round(part(rng, 0.3) / (1 - 0.3) * len(made))
    made += rng.choices(made, k=again)
    rng.shuffle(made)
    return rng.choice(("\n", "\n\n", "\n \n")).join(made)


def one_line_again(rng: Random) -> str:
    made = [*lines_of(rng), *(["A short one."] * rng.randint(0, 4))]
    rng.shuffle(made)
    return "\n".join(made)


def long_pieces_again(rng: Random) -> str:
    """Few repeated pieces, but long ones."""
    between = rng.choice(("\n", "\n\n"))
    made = lines_of(rng, 10, 20)
    piece = sentence(rng, rng.randint(20, 50))
    made += [piece] * 2
    rng.shuffle(made)
    return between.join(made)


def top_ngrams(rng: Random) -> str:
    n = rng.choice((2, 3, 4))
    piece = " ".join(rng.sample(WORDS, n))
    made = words(rng, 120)
    chars = len(" ".join(made))
    share = part(rng, {2: 0.2, 3: 0.18, 4: 0.16}[n], 0.25)
    return with_inserted(rng, made, piece, round(share * chars / (1 - share) / len(piece)))


def repeated_ngrams(rng: Random) -> str:
    n = rng.randint(5, 12)
    made = words(rng, 200)
    for _ in range(rng.randint(1, 9)):
        at, to = rng.randrange(len(made) - n), rng.randrange(len(made))
        made[to:to] = made[at : at + n]
    return " ".join(made)


def a_word_over_and_over(rng: Random) -> str:
    made = words(rng, 150)
    at = rng.randrange(len(made))
    made[at:at] = [rng.choice(WORDS)] * rng.randint(3, 20)
    return " ".join(made)


def c4_lines(rng: Random) -> str:
    """Lines of every kind that C4 has an opinion on, and a few sentences."""
    made = [sentence(rng) for _ in range(rng.randint(3, 8))]
    odd = (
        "Please enable JavaScript to see this page.",
        "Read our Privacy Policy and then go on reading.",
        "This site uses cookies to please its many readers.",
        "It said lorem ipsum dolor sit amet.",
        "It said Lorem Ipsum dolor sit amet",
        "Here is { a brace } in a whole line.",
        "Here is { a brace } without an end",
        "Two words.",
        "Words are many but no end",
        "It goes on and on...",
        "It was found in a book.[12]",
        "It was found in a book. [citation needed]",
        "It runs java[3]script all of the day.",
        "[edit] A title of a page.",
        "One " + "w" * rng.choice((999, 1000, 1001)) + " word is long.",
        'She said "go on with it"',
        "Did it stop? No! It went on.",
        "It came at 3.5 p.m. and then left. it did. \u201cIt did.\u201d So.",
        "",
        "   ",
    )
    made += rng.choices(odd, k=rng.choice((0, 1, 1, 2, 3)))
    rng.shuffle(made)
    return rng.choice(("\n", "\n", "\r\n")).join(made)


def ends_missing(rng: Random) -> str:
    ends = rng.choice((".", "?", "!", "。", "؟", '."'))
    bare = [each.removesuffix(".") for each in lines_of(rng, 15, 40)]
    return some(rng, bare, part(rng, 0.12, 0.9), lambda each: each + ends)


def short_lines(rng: Random) -> str:
    return some(
        rng, lines_of(rng), part(rng, 0.67, 0.3), lambda each: each[-rng.randint(28, 32) :].strip()
    )


def newlines(rng: Random) -> str:
    made = words(rng, 150)
    count = round(part(rng, 0.3) * len(made))
    for at in sorted(rng.sample(range(1, len(made)), count), reverse=True):
        made[at - 1] += ".\n"
    return " ".join(made).replace("\n ", "\n")


def symbols(rng: Random) -> str:
    """Marks that are no punctuation to everyone, in texts of hardly enough words."""
    mark = rng.choice(("•", "€", "→", "😀", "１", "—", "_"))
    return with_inserted(rng, words(rng, rng.randint(44, 55)), mark, rng.randint(0, 8))


def odd_ends(rng: Random) -> str:
    """Line ends of every sort, and blank lines, also around the text."""
    text = "".join(
        each + rng.choice(("\n", "\r\n", "\n\n", "\n \n", "\u2028", "\x0b", "\x85", "\n\n\n"))
        for each in lines_of(rng)
    )
    return rng.choice(("", "\n", " ")) + text


def blank(rng: Random) -> str:
    return rng.choice(("", " ", "\n", "\n\n \t", "\u3000", "."))


SCRIPTS = ("今日は天気がいい。", "Кошка сидит на столе.", "यह एक वाक्य है।", "هذا نص.", "ไทย")


def other_scripts(rng: Random) -> str:
    return rng.choice((" ", "\n")).join(rng.choices(SCRIPTS, k=rng.randint(1, 60)))


KINDS: tuple[Callable[[Random], str], ...] = (
    prose, short, long, word_lengths, hashes, bullets, ellipsis_lines, figures, stop_words,
    repeated_lines, one_line_again, long_pieces_again, top_ngrams, repeated_ngrams,
    a_word_over_and_over, c4_lines, c4_lines, ends_missing, short_lines, newlines, symbols,
    odd_ends, blank, other_scripts,
)  # fmt: skip


def documents(count: int, seed: int = 0) -> list[str]:
    """Texts of all kinds in turn. Rows: count."""
    rng = Random(seed)
    return [KINDS[number % len(KINDS)](rng) for number in range(count)]


def segments(count: int, seed: int = 0) -> list[str]:
    """Prose of 600 to 3,000 characters, as most segments are. Rows: count."""
    rng = Random(seed)
    made = []
    while len(made) < count:
        text = prose(rng, rng.randint(3, 12), rng.choice(("\n", "\n\n")))
        if 600 <= len(text) <= 3_000:
            made.append(text)
    return made
