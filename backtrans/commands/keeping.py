"""The commands that look after what was published: snapshots, diff, export, takedown, expire,
sweep, publish, vacuum.
"""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from backtrans import custody
from backtrans.changes import changes
from backtrans.commands.terminal import ConfigPath, Log, opened, out, say
from backtrans.errors import ConfigError, plain
from backtrans.expiry import expire as take_away
from backtrans.progress import Shown
from backtrans.snapshots import numbered, snapshots
from backtrans.takedown import KINDS, asked, listed, record, takedowns, together

app = typer.Typer()

DAY_SECONDS = 86_400.0


@app.command("snapshots")
def list_snapshots(config: ConfigPath) -> None:
    """List the snapshots: number, when, rows of each split, the run that published it."""
    found = snapshots(opened(config).ledger)
    for each in found:
        rows = ", ".join(f"{split} {count:,}" for split, count in each.rows.items())
        gone = f", {each.taken_down_rows:,} row(s) taken down" if each.taken_down_rows else ""
        say(f"{each.number:>6}  {each.published_at}  {rows} rows{gone}  run {each.run}")
    if not found:
        say("no snapshot published yet")


@app.command()
def diff(
    config: ConfigPath,
    before: Annotated[int, typer.Argument(help="A snapshot's number.")],
    after: Annotated[int, typer.Argument(help="A later one's.")],
    rows: Annotated[bool, typer.Option("--rows", help="List each row; else count.")] = False,
) -> None:
    """Say which rows of A4 were added, removed and changed between two snapshots, and why."""
    ledger = opened(config).ledger
    counts: Counter[tuple[str, str]] = Counter()
    for change in changes(ledger, numbered(ledger, before), numbered(ledger, after)):
        counts[change.kind, change.reason] += 1
        if rows:
            name = change.document_id or "-"
            say(f"{change.kind:8} {change.id}  {name}  {change.object}  {change.reason}")
    for (kind, reason), count in sorted(counts.items()):
        say(f"{count:>8,} {kind}: {reason}")
    say(f"{counts.total():>8,} row(s) differ")


@app.command()
def takedown(
    config: ConfigPath,
    document: Annotated[list[str] | None, typer.Option("--id", help="A document's id.")] = None,
    url: Annotated[list[str] | None, typer.Option(help="A document's URL.")] = None,
    domain: Annotated[list[str] | None, typer.Option(help="A domain and those below it.")] = None,
    input_object: Annotated[
        list[str] | None, typer.Option("--object", help="A whole input object.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A list: kind and value a line, such as: domain a.org")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the list.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Record it; else only show it.")] = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the bytes of all that was taken down, too.")
    ] = False,
    run_is_dead: Annotated[
        bool, typer.Option("--run-is-dead", help="A run that did not end was killed.")
    ] = False,
) -> None:
    """Take documents down: out of every split from the next run on; with --purge, at once."""
    pipeline = opened(config)
    values = dict(zip(KINDS, (document, url, domain, input_object), strict=True))
    entries = [(kind, value) for kind in KINDS for value in values[kind] or ()]
    if file is not None:
        try:
            entries += listed(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {plain(error)}") from error
    if purge and not apply:
        raise ConfigError("--purge removes bytes for good: say --apply too")
    if not entries and not purge:
        _show_recorded(config)
        return
    wanted = asked(entries, reason, datetime.now(UTC).isoformat(timespec="seconds"))
    found = custody.reach(pipeline, together([wanted, *takedowns(pipeline.ledger)]))
    say(f"{len(wanted):,} entries; with all before them, {found.texts:,} text(s) are held")
    for name in found.objects:
        say(f"  the whole of {name}")
    for number, rows in found.published.items():
        if rows:
            say(f"  snapshot {number} holds {rows:,} row(s) of them")
    if not apply:
        say("nothing done; --apply records it, and the next run leaves them out")
        return
    if entries:
        say(f"recorded as takedown {record(pipeline.ledger, wanted).number}")
    if purge:
        done, gone = custody.purge_withdrawn(pipeline, Shown(out()), run_is_dead=run_is_dead)
        say(f"purged {done.rows:,} text(s): {done.parts:,} part(s) written anew")
        say(f"deleted {done.orphans:,} orphan(s), and snapshot(s) {gone or 'none'}")


def _show_recorded(config: Path) -> None:
    recorded = takedowns(opened(config).ledger)
    if not recorded:
        say("nothing is taken down; --id, --url, --domain, --object and --file name what should be")
    for each in recorded:
        say(f"takedown {each.number}, {each.requested_at}: {each.reason or 'no reason given'}")
        for kind in KINDS:
            for value in getattr(each, kind):
                say(f"  {kind} {value}")


@app.command()
def expire(
    config: ConfigPath,
    keep: Annotated[int, typer.Option(help="Keep so many of the latest.", min=1)] = 1,
    older_than_days: Annotated[float, typer.Option(help="Leave younger ones.", min=0)] = 30.0,
    delete: Annotated[bool, typer.Option("--delete", help="Do it; else only show it.")] = False,
) -> None:
    """Let old snapshots go, with the files, parts and commits that only they hold."""
    pipeline = opened(config)
    going = custody.plan_expiry(pipeline, keep, older_than_days * DAY_SECONDS)
    for each in going.snapshots:
        say(f"snapshot {each.number} of {each.published_at}")
    what = (
        f"{len(going.files):,} file(s) of splits, {len(going.commits):,} commit(s) and their parts"
    )
    if delete:
        take_away(pipeline.ledger, going)
    say(f"{len(going.snapshots):,} snapshot(s), {what}{' deleted' if delete else ' would go'}")


@app.command()
def sweep(
    config: ConfigPath,
    older_than_hours: Annotated[float, typer.Option(help="Leave younger ones alone.")] = 24.0,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them; else only list.")] = False,
) -> None:
    """List what attempts left behind: parts and files that nothing names, counts of ended runs."""
    pipeline = opened(config)
    orphans = custody.orphans(pipeline, older_than_hours * 3600)
    counts = custody.counts(pipeline, older_than_hours * 3600)
    for key in orphans:
        say(key)
    if delete:
        custody.sweep(pipeline, orphans)
        custody.delete_counts(pipeline, counts)
    done = " deleted" if delete else ""
    say(f"{len(counts):,} count(s) of attempts, of runs that have ended{done}")
    say(f"{len(orphans):,} orphan(s){done}")


@app.command()
def export(
    config: ConfigPath,
    to: Annotated[Path, typer.Option("--out", help="The file to write: .jsonl or .parquet.")],
    split: Annotated[
        Literal["A5", "A4", "all"],
        typer.Option(help="A4 holds A5's rows too; all, without a filter, A4's."),
    ] = "A5",
    form: Annotated[
        Literal["prompt-completion", "messages", "preference"],
        typer.Option("--format", "--form", help="TRL's name of it."),
    ] = "messages",
    tags: Annotated[bool, typer.Option(help="Say the distribution in each instruction.")] = True,
    seed: Annotated[
        Path | None, typer.Option(help="Pairs to put first: .jsonl or .parquet.")
    ] = None,
    snapshot: Annotated[int | None, typer.Option(help="Its number; else the latest.")] = None,
    responses: Annotated[
        Literal["published", "distilled"],
        typer.Option(help="distilled: what a model answered by itself."),
    ] = "published",
) -> None:
    """Write a split as a training set for TRL."""
    pipeline = opened(config)
    own = responses == "distilled"
    rows = custody.write_export(
        pipeline, split, form, to, tags=tags, seed=seed, number=snapshot, own_answers=own
    )
    say(f"{to}: {rows:,} rows")
    published = custody.exported(pipeline, snapshot).rows[split]
    if form == "preference":
        say(
            f"  of {published:,} pairs of {split}: those whose response is a rewrite, and where it"
            " was scored, scored higher than its original"
        )
    elif own:
        say(f"  of {published:,} pairs of {split}: those that the model answered")


@app.command()
def publish(config: ConfigPath, log: Log = None) -> None:
    """Publish what is committed, and bring the lake table up to date; ask no model."""
    summary = opened(config).republish(Shown(out()))
    if summary.snapshot is None:
        say("nothing to publish")
        return
    rows = ", ".join(f"{split} {count:,}" for split, count in summary.snapshot.rows.items())
    say(f"snapshot {summary.snapshot.number}: {rows} rows")


@app.command()
def vacuum(
    config: ConfigPath,
    older_than_hours: Annotated[
        int, typer.Option(help="Leave younger ones to those who still read them.", min=0)
    ] = 168,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them; else only list.")] = False,
) -> None:
    """List the lake table's files that its latest version does not need."""
    found = opened(config).publication.vacuum(older_than_hours, delete=delete)
    for path in found:
        say(path)
    say(f"{len(found):,} file(s){' deleted' if delete else ''}")
