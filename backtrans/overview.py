"""What a job has come to, and what is left of it, as one looks at it.

    plan, estimate -> what a run would do, and take;   status -> what is there, and what it cost
    rows, kept, rejects, repeated_ids -> what the committed parts hold

Promises: touches nothing, so all of it may be asked while a run is under way; everything is of the
present corpus and recipe, as they stand at the call.

Does not know: which stages there are, or how a run does them (`pipeline`); how anything is shown.
"""

from collections.abc import Iterator, Mapping, Sequence

from backtrans.accounts import Estimate, Plan, StageStatus, Status, costs_of
from backtrans.checkpoint import commits_in
from backtrans.config import Config
from backtrans.estimating import Estimator, estimate_of
from backtrans.gpus import Gpu
from backtrans.journal import Journal
from backtrans.ledger import Commit, Ledger
from backtrans.placement import gpus_each
from backtrans.planning import planned
from backtrans.publication import Publication
from backtrans.reasons import REASONS
from backtrans.records import Row, is_kept
from backtrans.redo import Redo
from backtrans.refused import QUARANTINED, Refused, checked, checked_reason, given_up, refused_rows
from backtrans.repeats import Repeats, count_repeats
from backtrans.resolution import PARTS, Resolved
from backtrans.snapshots import SPLITS, latest
from backtrans.standing import Standing
from backtrans.store import Store
from backtrans.work import Address
from backtrans.works import Works


class Overview:
    """One configuration over one root; `reads` has its stages in order, with what each reads.

    `ray_auth_token` is for the work that a run maps (`Works`).
    """

    def __init__(
        self,
        config: Config,
        resolved: Resolved,
        reads: Mapping[str, tuple[str, ...]],
        *,
        ray_auth_token: bool = False,
    ) -> None:
        self.config = config
        self.resolved = resolved
        self.reads = reads
        self.works = Works(config, resolved, ray_auth_token=ray_auth_token)
        store = Store(resolved.store)
        self.ledger = Ledger(store)
        self.journal = Journal(store)
        self.redo = Redo(self.ledger, resolved, reads)
        self.publication = Publication(config, resolved, self.ledger)

    def standing(self) -> Standing:
        """Look at the corpus, and at what of it is committed."""
        return Standing(self.ledger, self.resolved, self.config.recipe.corpus)

    # ------------------------------------------------------------------ what there is to do

    def plan(self) -> Plan:
        """Say what a run would do, and why."""
        return self._plan(self.standing())

    def _plan(self, standing: Standing) -> Plan:
        recipe, resolved = self.config.recipe, self.resolved
        return planned(standing, recipe, resolved, self.journal, self.reads, self.redo.stale)

    def estimate(self, sample_rows: int, gpu: Gpu | None = None) -> Estimate:
        """Say what the job takes in all; some of the corpus is read."""
        standing = self.standing()
        work = self.works.select_work("", self.works.retry(), standing.withdrawn)
        found = Estimator(self.config, self.resolved, self.ledger, standing)
        return found.estimate(work, sample_rows, gpu)

    # ------------------------------------------------------------------ what is there

    def status(self) -> Status:
        """Say what the present corpus and recipe have come to."""
        standing = self.standing()
        shards, _ = standing.shards()
        stages = self._stages(standing, shards)
        snapshot = latest(self.ledger)
        published = self.publication.is_of(snapshot, standing, shards)
        pairs = {s: snapshot.rows[s] for s in SPLITS} if snapshot and published else {}
        price = self.config.placement.prices.gpu_hour
        files = snapshot.files if snapshot else {}
        runs = self.journal.runs()
        last = runs[-1] if runs else None
        quarantined = self.journal.quarantined(last["run"]) if last else []
        return Status(
            stages,
            snapshot,
            snapshot is None or snapshot.fingerprints == self.resolved.fingerprints,
            {split: [self.ledger.store.url(key) for key in keys] for split, keys in files.items()},
            [f"{q.stage}: {q.name}: {q.error}" for q in quarantined],
            last["run"] if last else None,
            self.publication.lake_status(),
            estimate_of(runs, self.resolved.fingerprints),
            costs_of(stages, self.gpus_each, price, pairs),
        )

    def _stages(self, standing: Standing, shards: list[Address]) -> list[StageStatus]:
        return [StageStatus.of(stage, standing.table(stage, shards)) for stage in self.reads]

    @property
    def gpus_each(self) -> dict[str, float]:
        """How many GPUs a worker takes, of each stage that asks a model."""
        placement, playing = self.config.placement, self.resolved.playing
        asking = [stage for stage in self.reads if stage in PARTS]
        return {stage: gpus_each(placement, playing[PARTS[stage]].engine) for stage in asking}

    # ------------------------------------------------------------------ what the parts hold

    def rows(self, stage: str) -> Iterator[Row]:
        """Yield every row of a stage's committed parts, kept and refused, in the corpus' order."""
        standing = self.standing()
        shards, _ = standing.shards()
        for commit in commits_in(standing.table(stage, shards)):
            yield from self.ledger.read_part(commit).to_pylist()

    def kept(self, split: str, *, stage: str) -> Iterator[Row]:
        """Yield a stage's kept rows of a split, but for those that are withdrawn by now."""
        standing = self.standing()
        shards, _ = standing.shards()
        for commit in commits_in(standing.table(stage, shards)):
            part = self.ledger.read_part(commit)
            for row, leaves in zip(part.to_pylist(), standing.withdrawn.mask(part), strict=True):
                if is_kept(row) and row["split"] == split and not leaves:
                    yield row

    def rejects(self, stage: str | None = None, reasons: Sequence[str] = ()) -> Iterator[Refused]:
        """Yield every refused row of the present corpus and recipe, then what the last run gave up.

        Of one stage or of all, for some reasons or for all. Raises: ConfigError for a name that
        does not exist, at once.
        """
        wanted = {checked_reason(reason) for reason in reasons} or {*REASONS, QUARANTINED}
        if stage is not None:
            checked("stage", stage, self.reads)
        return self._rejects(stage, wanted)

    def _rejects(self, stage: str | None, reasons: set[str]) -> Iterator[Refused]:
        for commits in self.standing().by_shard(list(self.reads)):
            wanted = [commit for commit in commits if stage in (None, commit.stage)]
            yield from refused_rows(self.ledger, commits[0], wanted, reasons)
        last = self.journal.last()
        if last is not None and QUARANTINED in reasons:
            yield from given_up(self.journal.quarantined(last["run"]), stage)

    def repeated_ids(self) -> Repeats:
        """Count the rows of the present corpus whose document id another row has too."""
        standing = self.standing()
        shards, _ = standing.shards()
        commits = commits_in(standing.table("select", shards))
        return count_repeats(self._document_ids(commit) for commit in commits)

    def _document_ids(self, commit: Commit) -> list[str | None]:
        rows = self.ledger.read_part(commit, ["row", "document_id"]).to_pylist()
        return list({row["row"]: row["document_id"] for row in rows}.values())  # one a document
