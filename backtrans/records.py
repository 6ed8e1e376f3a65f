"""The rows that stages hand on, and the Arrow schemas of the parts that hold them.

Promises: a schema is explicit, so that a column that happens to be all null keeps its type; every
part ends in the two columns of an outcome, so that a kept row and a reject are told apart by one
test, `reject_reason is null`, and no row is ever merely absent.

Does not know: where parts lie, which stage wrote them, how they are counted.
"""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
"""One row of a part: the keys of its schema, plain Python values."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row refused: `reason` is a key of `REASONS`, `detail` says what was seen."""

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"unknown reject reason {self.reason!r}; add it to records.REASONS")


REASONS: dict[str, str] = {
    # reading
    "unreadable_line": "a line that is not a JSON object, or nests too deep, or holds NaN",
    "invalid_utf8": "a line or value that is not UTF-8",
    "unreadable_rest": "the object broke off here; the rows before it were read",
    "text_missing": "no text field, or null",
    "text_not_string": "the text field holds something that is not a string",
    "line_too_long": "a line over the reader's byte limit",
    "unreadable_row_group": "a row of a Parquet row group that cannot be decoded",
    "provenance_too_long": "id, source, url, dates and metadata together over the reader's limit",
    "unreadable_value": "metadata that has no Python value, or no JSON text",
    "page_too_large": "a web page over the reader's byte limit",
    "not_answered": "an archived answer whose status is not 200 to 299",
    "not_text": "an archived record that is neither HTML nor plain text",
    "undecodable_body": "an archived body whose content or transfer encoding cannot be undone",
    # selecting
    "text_empty": "nothing but white space",
    "too_short": "fewer characters than the recipe's min_chars",
    "too_long": "more characters than the recipe's max_chars",
    "no_segment": "no piece between its headers could be a response; the detail counts why",
    "taken_down": "withdrawn by a takedown before it was read",
    "opted_out_domain": "from a domain on the recipe's list of those that opted out",
    "opted_out": "its metadata says that it opted out of such use",
    "blocked_domain": "from a domain on the recipe's blocklist",
    "blocked_url": "its URL is on the recipe's blocklist",
    "licence_not_allowed": "a licence that the recipe does not allow, or none said",
    "perplexity_bucket": "in none of the recipe's perplexity buckets",
    "perplexity_high": "a perplexity over the recipe's bound",
    "language_other": "in a language that the recipe does not allow",
    "language_unsure": "its language is too uncertain",
    "c4_lorem_ipsum": "holds lorem ipsum",
    "c4_brace": "holds a curly brace",
    "c4_few_sentences": "too few sentences in lines that C4 keeps",
    "c4_removed_lines": "too much of it in lines that C4 removes",
    "fineweb_unended_lines": "too few lines end with a terminal mark",
    "fineweb_short_lines": "too many short lines",
    "fineweb_duplicate_chars": "too many characters in lines that came before",
    "fineweb_newlines": "too many newlines for its words, like a list",
    "reinstruct_questions": "too many question marks",
    "reinstruct_capitals": "too many words in capitals",
    "reinstruct_pronouns": "too many personal pronouns",
    "gopher_hashes": "too many hash marks for its words",
    "gopher_ellipses": "too many ellipses for its words",
    "gopher_few_stop_words": "too few different English stop words",
    "gopher_few_words": "too few words",
    "gopher_many_words": "too many words",
    "gopher_short_words": "words too short on average",
    "gopher_long_words": "words too long on average",
    "gopher_few_letters": "too few words have a letter",
    "gopher_bullet_lines": "too many lines begin with a bullet",
    "gopher_ellipsis_lines": "too many lines end with an ellipsis",
    "gopher_duplicate_paragraphs": "too many paragraphs came before in it",
    "gopher_duplicate_paragraph_chars": "too many characters in paragraphs that came before in it",
    "gopher_duplicate_lines": "too many lines came before in it",
    "gopher_duplicate_line_chars": "too many characters in lines that came before in it",
    "gopher_duplicate_ngrams": "too many characters in runs of words that came before in it",
    "gopher_top_ngram": "one run of words takes up too many of its characters",
    "personal_data": "personal data of a kind that the recipe drops",
    "secret": "a password, key or token, where the recipe drops them",
    "contaminated": "words of an evaluation set that the recipe names",
    # deduplicating
    "duplicate": "the same words as an earlier segment",
    "near_duplicate": "almost the words of an earlier segment, by the recipe's threshold",
    # asking
    "prompt_too_long": "prompt and output together exceed the engine's context",
    "refused": "the engine refused the request",
    "instruction_empty": "the backward model wrote nothing",
    "instruction_too_long": "more characters than the recipe's bound on an instruction",
    "instruction_unfinished": "the backward model ran out of tokens before its end",
    "instruction_void": "no word in the instruction",
    "instruction_refuses": "the instruction declines, or speaks of itself as a model",
    "instruction_leaks": "words of a prompt, of the rubric or of a chat template's markers in it",
    "instruction_refers": "the instruction asks about a text that is not in it",
    "digit_improbable": "no rating digit had a finite probability",
    # curating
    "below_a4": "expected score, or a selector's probability, under the A4 threshold",
    "signal_missing": "a signal that the recipe's selector reads was not to be had",
    "signal_below_floor": "a likelihood signal under the recipe's floor",
    # rewriting
    "rewrite_missing": "no [RES] in what the rewriting model wrote",
    "rewrite_empty": "nothing between [RES] and [/RES]",
    "rewrite_unfinished": "the rewriting model ran out of tokens, or wrote no [/RES]",
    "rewrite_nested": "a [RES] within another",
    "rewrite_repeated": "markers beside one [RES] and its [/RES]",
    "answer_empty": "the distilled model wrote nothing",
    "answer_unfinished": "the distilled model ran out of tokens before its end",
    # choosing, where the recipe has no original stand in for a rewrite
    "not_rewritten": "the rewriting model gave no rewrite; the stage before says why",
    "rewrite_leaks": "the rewrite speaks of a draft or of a text that its reader does not have",
    "rewrite_refuses": "the rewrite declines, or speaks of itself as a model",
    "rewrite_novel": "more of the rewrite is new than the recipe's max_novelty",
    "rewrite_too_short": "shorter against the original than the recipe's min_length_ratio",
    "rewrite_too_long": "longer against the original than the recipe's max_length_ratio",
    "rewrite_unscored": "the judge gave the rewrite no score",
    # evaluating and analysing
    "choice_improbable": "neither of the two responses had a finite probability",
    "tags_malformed": "the tagging model wrote something other than a JSON list of tags",
    "tags_unfinished": "the tagging model ran out of tokens before its end",
}
"""Every reason for which a row can be refused, with what it means. A part holds no other."""

_OUTCOME = [("reject_reason", pa.string()), ("reject_detail", pa.string())]

_PROVENANCE = [
    ("object", pa.string()),  # the input object's URL when the row was read
    ("row", pa.int64()),  # zero-based row in that object
    ("document_id", pa.string()),
    ("start_char", pa.int64()),  # the segment's span in the document's text, end exclusive
    ("end_char", pa.int64()),
    ("masked", pa.list_(pa.string())),  # kinds of personal data masked in it, in order
    ("source", pa.string()),
    ("url", pa.string()),
    ("added", pa.string()),
    ("created", pa.string()),
    ("metadata", pa.string()),  # the document's metadata as JSON text, whatever its shape
]

SEGMENT = pa.schema([("id", pa.string()), ("text", pa.string()), *_PROVENANCE, *_OUTCOME])
"""A self-contained piece of a document that could be a response."""

DEDUPLICATED = pa.schema([("id", pa.string()), *_OUTCOME])
"""Whether a segment is a copy of an earlier one: a sidecar, ids only."""

PAIR = pa.schema(
    [
        ("id", pa.string()),  # the segment's
        ("instruction", pa.string()),
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""The backtranslated instruction of a segment. The text is not repeated (law 6)."""

_JUDGEMENT = [
    ("score", pa.float64()),  # the expectation over the digits 1 to 5
    ("digit", pa.int8()),  # the digit written (reasoned), else the most probable one
    ("distribution", pa.list_(pa.float64(), 5)),  # P(1) .. P(5), sums to 1
    ("entropy", pa.float64()),  # of the distribution, in nats
    ("off_digit_mass", pa.float64()),  # probability that lay on no digit: a health figure
    ("form", pa.string()),  # constrained | reasoned | second_ask
    ("reasoning", pa.string()),
    ("parse_failure", pa.string()),  # why the reasoned text gave no score, when it did not
    ("min_token_logprob", pa.float64()),  # of the response given the instruction, in nats
    ("mean_logprob", pa.float64()),
    ("pmi", pa.float64()),  # mean log p(y|x) - mean log p(y), nats a token
]

JUDGEMENT = tuple(name for name, _ in _JUDGEMENT)
"""The columns of a judgement, in whichever part it stands."""

SCORE = pa.schema(
    [
        ("id", pa.string()),
        *_JUDGEMENT,
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""What the forward model made of a pair: a sidecar, ids and figures only."""

CURATED = pa.schema(
    [
        ("id", pa.string()),
        ("instruction", pa.string()),
        ("response", pa.string()),
        ("split", pa.string()),  # A5 | A4 | rest: the best split that the row belongs to
        ("probability", pa.float64()),  # that the pair is good, by the recipe's selector
        *_JUDGEMENT,
        *_PROVENANCE,
        ("backward_role", pa.string()),
        ("backward_model", pa.string()),
        ("forward_role", pa.string()),
        ("forward_model", pa.string()),
        ("run", pa.string()),  # the run that committed the row's score
        *_OUTCOME,
    ]
)
"""A pair with its response, its judgement and where it all came from."""


REWRITE = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),  # the rewritten response: what a judge reads, as it does a segment's
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""A better response to the instruction of a curated pair, as an aligned model writes it."""

DISTILLED = pa.schema(
    [
        ("id", pa.string()),
        ("answer", pa.string()),
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""A model's own response to the instruction of a curated pair: a sidecar."""

REWRITTEN = [
    ("response_from", pa.string()),  # rewritten | original; null: the recipe does not rewrite
    ("original_response", pa.string()),  # the segment, where the response is a rewrite
    ("rewrite_reject", pa.string()),  # why the response is not the rewrite, where it is not
    ("original_score", pa.float64()),  # of the segment
    ("rewrite_score", pa.float64()),  # of the rewrite, where it was scored
    ("rewrite_novelty", pa.float64()),  # share of its runs of three words that are not the source's
    ("rewrite_new_words", pa.float64()),  # share of its words that are not the source's
    ("rewrite_length_ratio", pa.float64()),  # its characters to the source's
    ("dropped_numbers", pa.int32()),  # how many of the source's numbers are not in it
    ("dropped_numbers_listed", pa.list_(pa.string())),  # the first of them
    ("dropped_names", pa.int32()),
    ("dropped_names_listed", pa.list_(pa.string())),
    ("rewrite_leaks", pa.list_(pa.string())),  # what in it speaks of a draft or a text
    ("rewrite_refusals", pa.list_(pa.string())),  # what in it declines
    ("rewrite_role", pa.string()),
    ("rewrite_model", pa.string()),
]
"""The columns by which a pair that went through rewriting says what became of it."""

CHOSEN = pa.schema([*[(f.name, f.type) for f in CURATED][:-2], *REWRITTEN, *_OUTCOME])
"""A curated pair whose response is the rewrite, or the original where that was not taken."""


def parquet(rows: pa.Table, *, plain: Sequence[str] = ()) -> bytes:
    """Encode a table as the bytes of a Parquet file, whole (law 8).

    `plain` columns hold what nothing makes smaller, such as hashes: they are written as they are.
    """
    sink = io.BytesIO()
    if not plain:
        pq.write_table(rows, sink, compression="zstd")
        return sink.getvalue()
    others = [name for name in rows.column_names if name not in plain]
    compression = dict.fromkeys(others, "zstd")
    pq.write_table(
        rows, sink, compression=compression, use_dictionary=others, write_statistics=others
    )
    return sink.getvalue()


def rejected(row: Row, reject: Reject) -> Row:
    """Return `row` marked as refused."""
    return {**row, "reject_reason": reject.reason, "reject_detail": reject.detail}


def is_kept(row: Row) -> bool:
    """Say whether a row of any part was kept."""
    return row.get("reject_reason") is None


def table(rows: Iterable[Row], schema: pa.Schema) -> pa.Table:
    """Build a part's table; columns that a row lacks are null. Rows: N -> N."""
    return pa.Table.from_pylist(list(rows), schema=schema)


RECIPE_REASONS = (
    "duplicate",
    "near_duplicate",
    "instruction_void",
    "instruction_refuses",
    "instruction_leaks",
    "instruction_refers",
    "below_a4",
    "signal_missing",
    "signal_below_floor",
    "not_rewritten",
    "rewrite_leaks",
    "rewrite_refuses",
    "rewrite_novel",
    "rewrite_too_short",
    "rewrite_too_long",
    "rewrite_unscored",
)
"""Reasons that follow from what is there alone: to do such a row again gives the same."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How the rows of one part came out (law 1): `rows_in == kept + sum(rejects)`.

    `rows_in` is what the stage was given, counted by the stage on its own way in; it is compared
    with the part before a commit, never derived from it.
    """

    rows_in: int
    kept: int
    rejects: dict[str, int]

    @property
    def rejected(self) -> int:
        """How many rows were refused, whatever the reason."""
        return sum(self.rejects.values())

    @classmethod
    def of(cls, rows_in: int, part: pa.Table) -> "Counts":
        """Count a part's outcomes beside the number of rows that went in."""
        reasons = Counter(part.column("reject_reason").to_pylist())
        kept = reasons.pop(None, 0)
        return cls(rows_in, kept, {str(k): n for k, n in sorted(reasons.items())})
