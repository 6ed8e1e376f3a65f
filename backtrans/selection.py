"""The selecting part of a recipe: which documents are read, and which segments are asked about.

Promises: each value has its source; all of it is decided on CPUs, before any model is asked.

Does not know: models, and what is made of the segments.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from backtrans.corpus.contamination import MIN_WORDS, N_WORDS
from backtrans.corpus.filters.ordered import FilterSettings
from backtrans.corpus.privacy import PrivacySettings
from backtrans.corpus.span import Method
from backtrans.section import Section


class Corpus(Section):
    """Which documents there are, and how they are read."""

    paths: Annotated[list[str], Field(min_length=1)]
    """Files, folders or globs, local or s3://; relative ones from the folder of this file."""
    format: Literal["auto", "dolma", "clueweb", "parquet", "warc"] = "auto"
    """auto: told by each object's first bytes. dolma: JSON Lines, whoever wrote them."""
    columns: dict[Literal["id", "text", "source", "url", "added", "created", "metadata"], str] = {}
    """Our field -> your column (Parquet) or key (JSON), where the names differ."""
    shard_rows: Annotated[int, Field(gt=0)] = 1024
    """Input rows in a shard, the unit of work and of commit. Changing it computes all anew."""
    max_line_bytes: Annotated[int, Field(gt=0)] = 16 * 2**20
    """A longer line of JSON is a reject. Source: far over any web document; parsed, a line may take
    thirty times its bytes of memory, in each reader."""
    max_decoded_bytes: Annotated[int, Field(gt=0)] = 64 * 2**30
    """Where an object's text, decompressed, goes over this, the rest is a reject. Source: over the
    largest objects of Dolma, and an end to a decompression bomb."""
    max_page_bytes: Annotated[int, Field(gt=0)] = 256 * 2**20
    """A Parquet row group whose pages for a batch of rows take more, decoded, is unreadable.
    Source: pyarrow puts 1,024 values at least into a page, so raise it for books."""
    max_html_bytes: Annotated[int, Field(gt=0)] = 8 * 2**20
    """A larger web page is a reject. Source: over the 5 MiB at which Common Crawl cuts a page off;
    parsed, a page takes some thirty times its bytes."""
    max_provenance_chars: Annotated[int, Field(gt=0)] = 128 * 2**10
    """A document whose id, source, url, dates and metadata together are longer is a reject. Source:
    ten times what web corpora say of one; a shard's rows are held in memory together."""


class EvaluationSet(Section):
    """A file of prompts and answers that no kept pair may hold: JSON Lines or Parquet."""

    path: str
    """A file, local or s3://; a relative one from the folder of this file."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w./-]{0,199}$")]
    """What rejects call it."""
    fields: list[str] = []
    """The fields that hold its texts; all of them where none is named."""


class Evaluations(Section):
    """Decontamination: which runs of words make a text an evaluation set's. Source of the lengths:
    2005.14165 appendix C.
    """

    sets: list[EvaluationSet] = []
    n_words: Annotated[int, Field(gt=0)] = N_WORDS
    """So many words in a row that a text shares with a set's make it the set's."""
    min_words: Annotated[int, Field(gt=0)] = MIN_WORDS
    """Shorter texts of a set are not looked for: they would be found everywhere."""

    @model_validator(mode="after")
    def _possible(self) -> "Evaluations":
        if self.min_words > self.n_words:
            raise ValueError(f"min_words {self.min_words} is over n_words {self.n_words}")
        names = [each.name for each in self.sets]
        if len(set(names)) < len(names):
            raise ValueError("two sets have the same name")
        return self


class Select(Section):
    """Which segments are worth asking about. Source of the band: 2308.06259 appendix, ClueWeb."""

    segmentation: Method = "auto"
    """auto: web pages by their headers, other documents whole. document: every one whole. headers:
    every one at its Markdown headers. passages: long ones between their paragraphs."""
    min_chars: Annotated[int, Field(ge=0)] = 600
    """A shorter segment is a reject."""
    max_chars: Annotated[int, Field(gt=0)] = 3000
    """A longer one is too, where the segmentation finds no place to cut it."""
    filters: FilterSettings = FilterSettings()
    privacy: PrivacySettings = PrivacySettings()
    evaluations: Evaluations = Evaluations()

    @model_validator(mode="after")
    def _band(self) -> "Select":
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is over max_chars {self.max_chars}")
        return self


class Deduplicate(Section):
    """Which segments are refused as copies of earlier ones, in the corpus and before it."""

    enabled: bool = True
    """Without it every selected segment is asked about."""
    near: bool = True
    """Also those that are only alike; else those with the same words."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Estimated Jaccard similarity of the shingles. Source: `python -m bench.dedup` (its curve)."""
    shingle_words: Annotated[int, Field(gt=0)] = 5
    """Words in a shingle, a run that two texts may share. Source: FineWeb (2406.17557), 5-grams."""
