"""The Delta table itself: which files it holds, and one transaction that replaces some of them.

    split=A5/<digest>-<attempt>.parquet     immutable; put before the transaction that adds it
    split=A4/<digest>-<attempt>.parquet     the rows of A4 that are not in A5
    split=rest/<digest>-<attempt>.parquet   those of neither, where the recipe does not filter
    _delta_log/                             Delta's own, written by deltalake

Promises: the number of the snapshot that the table holds is in the transaction that brought it, as
the version of an application that is named for the root; of two transactions from the same state
one wins, and the other is told so. A table that this root did not write is refused. The log holds
no text of any document. Credentials come from the standard chain, in deltalake as in the store.

Does not know: snapshots, how rows are cut into files. The only module that imports deltalake.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import uuid4

from backtrans.errors import ConfigError, StoreError
from backtrans.lake.files import DataFile
from backtrans.snapshots import PUBLISHED
from backtrans.store import Store, StoreSettings

PARTITION = "split"

_CONFIGURATION = {"delta.dataSkippingStatsColumns": "score"}
"""Others that write to the table, to compact it say, put no bounds of texts into the log either."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file that lies in the table's place; a transaction makes it the table's."""

    path: str  # from the table's place
    size_bytes: int
    split: str
    statistics: dict[str, object] = field(default_factory=dict)  # only needed to add it

    @property
    def digest(self) -> str:
        """The digest of its rows, with which its name begins; another writer's is no digest."""
        return PurePosixPath(self.path).name.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Held:
    """What a table holds: a snapshot's number, and its files."""

    number: int
    version: int  # Delta's
    files: list[TableFile]
    delta: Any  # the deltalake.DeltaTable of that version


class LakeTable:
    """One Delta table, as one root writes it; `owner` names the root."""

    def __init__(self, settings: StoreSettings, owner: str) -> None:
        try:
            import deltalake
        except ImportError as error:
            raise ConfigError(
                'placement.lake needs the extra "lake": pip install "backtrans[lake]"'
            ) from error
        self._deltalake = deltalake
        self._store = Store(settings)
        self._application = f"backtrans/{owner}"
        self._options = storage_options(settings)
        self.uri = self._store.url("x").removesuffix("/x")

    def held(self) -> Held | None:
        """Return what the table holds, None where there is no table.

        Raises: StoreError for a table that this root did not write, or of other columns.
        """
        delta = self._open()
        if delta is None:
            return None
        with self._failures():
            number = delta.transaction_version(self._application)
            columns, files = delta.schema(), delta.get_add_actions(flatten=True)
        if number is None:
            raise StoreError(
                f"{self.uri}: holds a Delta table that this root did not write; it is left as it"
                " is. Give placement.lake.uri a place of its own"
            )
        if columns != self._columns():
            raise StoreError(
                f"{self.uri}: its columns are not those of this version of the splits; give"
                " placement.lake.uri a new place, or delete the table"
            )
        names = ("path", "size_bytes", f"partition.{PARTITION}")
        rows = zip(*(files[name].to_pylist() for name in names), strict=True)
        return Held(number, delta.version(), [TableFile(*row) for row in rows], delta)

    def put(self, file: DataFile) -> TableFile:
        """Put a file beside the table, under a name of its own; a transaction must add it."""
        data = file.encoded()
        path = f"{PARTITION}={file.split}/{file.digest}-{uuid4().hex[:12]}.parquet"
        self._store.put(path, data)
        return TableFile(path, len(data), file.split, file.statistics())

    def commit(
        self,
        before: Held | None,
        number: int,
        digest: str,
        added: list[TableFile],
        removed: list[TableFile],
    ) -> bool:
        """Replace files in one transaction; False when the table has changed since `before`.

        Raises: StoreError.
        """
        from deltalake import CommitProperties, Transaction
        from deltalake.exceptions import DeltaError
        from deltalake.transaction import (
            AddAction,
            RemoveAction,
            create_table_with_add_actions,
        )

        now_milliseconds = int(time.time() * 1000)
        adds = [
            AddAction(
                file.path,
                file.size_bytes,
                {PARTITION: file.split},
                now_milliseconds,
                True,
                json.dumps(file.statistics),
            )
            for file in added
        ]
        properties = CommitProperties(
            custom_metadata={"backtrans.snapshot": str(number), "backtrans.digest": digest},
            app_transactions=[Transaction(self._application, number)],
            # What was planned against a version is not put on top of another.
            max_commit_retries=0,
        )
        try:
            if before is None:
                create_table_with_add_actions(
                    self.uri,
                    self._columns(),
                    adds,
                    mode="error",
                    partition_by=[PARTITION],
                    configuration=_CONFIGURATION,
                    storage_options=self._options,
                    commit_properties=properties,
                )
            else:
                removes = [
                    RemoveAction(
                        file.path, True, now_milliseconds, file.size_bytes, {PARTITION: file.split}
                    )
                    for file in removed
                ]
                before.delta.create_write_transaction(
                    [*adds, *removes],
                    "append",
                    self._columns(),
                    [PARTITION],
                    commit_properties=properties,
                )
        except (DeltaError, OSError) as error:  # the latter is the store's, as deltalake says it
            now = self._open()
            if now is not None and (before is None or now.version() != before.version):
                return False
            raise StoreError(f"{self.uri}: {error}") from error
        return True

    def vacuum(self, older_than_hours: int, *, delete: bool) -> list[str]:
        """Return the files that are not in the table and that old; delete them when told to.

        Whoever still reads an earlier version of the table reads such files.
        """
        if (held := self.held()) is None:
            return []
        with self._failures():
            found: list[str] = held.delta.vacuum(
                older_than_hours,
                dry_run=not delete,
                enforce_retention_duration=False,
                full=True,  # also the files of writers that died before their transaction
            )
        return sorted(found)

    def _open(self) -> Any | None:
        from deltalake.exceptions import TableNotFoundError

        try:
            with self._failures():
                return self._deltalake.DeltaTable(self.uri, storage_options=self._options)
        except StoreError as error:
            if isinstance(error.__cause__, TableNotFoundError):
                return None
            raise

    def _columns(self) -> Any:
        return self._deltalake.Schema.from_arrow(PUBLISHED)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, OSError) as error:
            raise StoreError(f"{self.uri}: {error}") from error


def storage_options(settings: StoreSettings) -> dict[str, str]:
    """Say how S3 is reached; who asks is the environment's to say, never a setting's."""
    if not settings.root.lower().startswith("s3://"):
        return {}
    options = {"aws_conditional_put": "etag"}  # a version of the log is put new: one winner
    if settings.endpoint_url:
        options["aws_endpoint_url"] = settings.endpoint_url
        if settings.endpoint_url.startswith("http://"):
            options["aws_allow_http"] = "true"
    if settings.region:
        options["aws_region"] = settings.region
    path = settings.addressing == "path" or (
        settings.addressing == "auto" and settings.endpoint_url is not None
    )
    options["aws_virtual_hosted_style_request"] = "false" if path else "true"
    return options
