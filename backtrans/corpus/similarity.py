"""How alike two texts are, told from a few bytes of each: MinHash, banded, and a sketch.

A text is its words in order: without case, punctuation and white space. Its shingles are runs of a
few words; MinHash keeps the least value of each of many random functions over them, and two texts
agree in a value as often as their shingles overlap (their Jaccard similarity). Texts that agree in
all values of a band meet under that band's hash; how alike they are is estimated from a sketch of
one byte a value.

Promises: the same text gives the same figures in any process and on any machine; texts with the
same words have equal hashes and sketches; the estimate is symmetric, and 1 for equal sketches.

Does not know: where texts come from, nor what is done with those that are alike.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

U64 = npt.NDArray[np.uint64]
U8 = npt.NDArray[np.uint8]

VERSION = "minhash/1"
"""Part of a fingerprint: a new one when the same text would give other hashes or sketches."""

BANDS, ROWS = 14, 8
"""Bands, and values in each. Source: FineWeb (2406.17557, section 3.4): texts that overlap by 0.75
share a band with probability 0.77, by 0.8 with 0.92, by 0.85 with 0.99."""

SKETCH_BYTES = 64
"""Values of the signature that the sketch has the low byte of. Source: b-bit MinHash (0908.4280);
the standard deviation of the estimate is 0.06 at most, 0.05 at a similarity of 0.8."""

CHANCE = 1 / 256
"""How often the low bytes of two values agree that do not."""

_SEED = 20_240_625
"""Of rensa's functions. Any would do; another gives other hashes."""

_WORDS_REMEMBERED = 2**20
"""Words whose hashes a sketcher keeps: about 150 MiB. Source: this project's choice; a language's
frequent words are fewer, and what is forgotten is hashed again."""

_WORD = re.compile(r"\w+")

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_CHARACTER = re.compile(f"[{_UNSPACED}]|[^\\W{_UNSPACED}]+")
"""Scripts that put no spaces between words: there each character counts as one."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 / golden ratio, odd: spreads what differs over the upper bits (Fibonacci hashing)."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of one text."""

    content: int  # hash of the words in order; odd
    bands: tuple[int, ...]  # a hash a band; even, so that no band is taken for a content
    bytes: bytes

    @classmethod
    def of(cls, text: str, shingle_words: int = 5) -> "Sketch":
        """Sketch one text; many at once are far cheaper (`Sketcher`)."""
        found = Sketcher(shingle_words).sketched([text])
        bands = tuple(int(band) for band in found.bands[0])
        return cls(int(found.content[0]), bands, found.bytes[0].tobytes())


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of N texts. Shape: content (N,), bands (N, BANDS), bytes (N, SKETCH_BYTES)."""

    content: U64
    bands: U64
    bytes: U8

    def __len__(self) -> int:
        return len(self.content)


class Sketcher:
    """Sketches texts, and remembers the hashes of words from one call to the next."""

    def __init__(self, shingle_words: int = 5) -> None:
        self._shingle_words = shingle_words
        self._hashes = _WordHashes()

    def sketched(self, texts: Sequence[str]) -> Sketches:
        """Sketch texts. Rows: N -> N."""
        if not texts:
            return _none(BANDS)
        texts_words = [words(text) for text in texts]
        content, _ = _digests(texts_words)
        if len(self._hashes) > _WORDS_REMEMBERED:
            self._hashes = _WordHashes()
        counts = np.array([len(each) for each in texts_words], np.int64)
        every = chain.from_iterable(texts_words)
        hashes = np.fromiter(map(self._hashes.__getitem__, every), np.uint64, int(counts.sum()))
        shingles, starts = _shingles(hashes, counts, self._shingle_words)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            shingles, starts, num_perm=BANDS * ROWS, seed=_SEED
        )
        signatures = np.array(matrix.to_rows(), np.uint64)
        sketch = (signatures[:, :SKETCH_BYTES] & np.uint64(0xFF)).astype(np.uint8)
        return Sketches(content, _bands(signatures), sketch)


def contents(texts: Sequence[str]) -> Sketches:
    """Return texts' contents alone: no bands, and the sketch is a digest of the words."""
    if not texts:
        return _none(0)
    content, digests = _digests([words(text) for text in texts])
    return Sketches(content, np.zeros((len(texts), 0), np.uint64), digests)


def words(text: str) -> list[str]:
    """Return a text's words in order, without case, punctuation and white space."""
    if text.isascii():
        return _WORD.findall(text.lower())
    return _CHARACTER.findall(unicodedata.normalize("NFKC", text).casefold())


def estimate(a: Sketch, b: Sketch) -> float:
    """Return the estimated similarity of two texts, from 0 to 1."""
    ours, theirs = (np.frombuffer(each.bytes, np.uint8) for each in (a, b))
    return estimated(int(np.count_nonzero(ours == theirs)))


def estimated(agreeing: int) -> float:
    """Return the similarity that so many agreeing bytes of two sketches stand for.

    Source: 0908.4280, theorem 1, with both chances 1/256.
    """
    return max(0.0, (agreeing / SKETCH_BYTES - CHANCE) / (1 - CHANCE))


def bytes_needed(threshold: float) -> int:
    """Return how many bytes must agree for an estimate of at least this."""
    return next(n for n in range(SKETCH_BYTES + 1) if estimated(n) >= min(threshold, 1.0))


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        # surrogatepass: a reader lets no lone surrogate in, but a caller may.
        data = word.encode("utf-8", "surrogatepass")
        found = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
        self[word] = found
        return found


def _digests(texts_words: Sequence[list[str]]) -> tuple[U64, U8]:
    """Return a content hash a text, and a digest of SKETCH_BYTES bytes that it begins."""
    whole = b"".join(
        hashlib.blake2b(
            " ".join(each).encode("utf-8", "surrogatepass"), digest_size=SKETCH_BYTES
        ).digest()
        for each in texts_words
    )
    digests = np.frombuffer(whole, np.uint8).reshape(len(texts_words), SKETCH_BYTES)
    first = np.ascontiguousarray(digests[:, :8]).view("<u8").ravel().astype(np.uint64)
    return first | np.uint64(1), digests


def _shingles(hashes: U64, counts: npt.NDArray[np.int64], length: int) -> tuple[U64, U64]:
    """Return the hashes of all texts' shingles, and where each text's begin (and the last ends).

    A text of fewer words than a shingle has one shingle: its words, then as many nothings.
    """
    rows = np.arange(len(counts))
    padded = np.maximum(counts, length)
    starts = np.concatenate(([0], np.cumsum(padded)))
    flat = np.zeros(int(starts[-1]), np.uint64)
    before = np.cumsum(counts) - counts
    of_text = np.repeat(rows, counts)
    flat[np.arange(len(hashes)) - before[of_text] + starts[of_text]] = hashes
    mixed = np.zeros(len(flat) - length + 1, np.uint64)
    for place in range(length):  # a word's place in the shingle counts
        mixed = (mixed ^ flat[place : place + len(mixed)]) * _MIX
        mixed ^= mixed >> np.uint64(32)
    shingles = padded - length + 1
    ends = np.cumsum(shingles)
    of_text = np.repeat(rows, shingles)
    within = np.arange(int(ends[-1])) - (ends - shingles)[of_text]
    found = mixed[starts[:-1][of_text] + within]
    return found, np.concatenate(([0], ends)).astype(np.uint64)


def _bands(signatures: U64) -> U64:
    """Return the hash of each band of N signatures. Shape: (N, BANDS * ROWS) -> (N, BANDS)."""
    values = signatures.reshape(len(signatures), BANDS, ROWS)
    hashed = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), values.shape[:2]) * _MIX
    for place in range(ROWS):
        hashed = (hashed ^ values[:, :, place]) * _MIX
        hashed ^= hashed >> np.uint64(32)
    return (hashed * _MIX) & ~np.uint64(1)


def _none(bands: int) -> Sketches:
    empty = np.zeros((0, bands), np.uint64)
    return Sketches(np.zeros(0, np.uint64), empty, np.zeros((0, SKETCH_BYTES), np.uint8))
