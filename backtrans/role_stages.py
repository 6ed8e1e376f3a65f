"""A role stage: which role is asked of what, by which model, and what it writes.

Does not know: who asks, engines, stores.
"""

from dataclasses import dataclass

import pyarrow as pa

from backtrans.errors import ConfigError, DialogueBroken
from backtrans.records import DISTILLED, PAIR, REWRITE, SCORE, Reject, Row, rejected
from backtrans.roles.role import Role
from backtrans.upstream import Upstream

SCHEMAS: dict[str, pa.Schema] = {
    "backtranslate": PAIR,
    "score": SCORE,
    "distill": DISTILLED,
    "rewrite": REWRITE,
    "rescore": SCORE,
}
"""What each role stage writes."""

ASKS_ABOUT = {
    "backtranslate": ("text",),
    "score": ("instruction", "text"),
    "distill": ("instruction",),
    "rewrite": ("instruction", "response"),
    "rescore": ("instruction", "text"),
}
"""The fields of a row that each role's words are made of."""


@dataclass(frozen=True, slots=True)
class RoleStage:
    """One role asked of every kept row of what lies upstream.

    The first upstream leads: its kept rows, in its order, are the rows in. The others add their
    columns to it by id, so that a judge reads the pair's instruction beside the segment's text.
    """

    stage: str  # a key of SCHEMAS
    role: Role
    key_fingerprint: str
    upstream: tuple[Upstream, ...]
    model: str  # what the rows name as their model
    earlier: tuple[str, ...] = ()  # fingerprints of it under earlier recipes: same role and model

    def __post_init__(self) -> None:
        if self.stage not in SCHEMAS:
            raise ConfigError(f"{self.stage!r} is no role stage; there are {', '.join(SCHEMAS)}")
        if not self.upstream:
            raise ConfigError(f"the role stage {self.stage!r} has nothing upstream")

    @property
    def schema(self) -> pa.Schema:
        """The schema of its parts."""
        return SCHEMAS[self.stage]

    def row(self, row_id: str, outcome: Row | Reject) -> Row:
        """Build the row of a part. Raises: DialogueBroken for fields that the schema lacks."""
        row: Row = {"id": row_id, "role_version": self.role.version, "model": self.model}
        if isinstance(outcome, Reject):
            return rejected(row, outcome)
        # Arrow would drop an unknown key in silence, and with it what the model was asked for.
        if unknown := sorted(outcome.keys() - set(self.schema.names)):
            raise DialogueBroken(f"{self.role.version} returned fields that no part has: {unknown}")
        return {**outcome, **row}
