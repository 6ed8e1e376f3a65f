"""The commands that measure: score, pairs; evaluate, answers; analyze, sets; audit, who scores."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backtrans.commands.terminal import opened, out, say
from backtrans.errors import ConfigError, InputError, RunIncomplete
from backtrans.export import write_json
from backtrans.records import Reject
from backtrans.snapshots import latest, numbered, read_split

if TYPE_CHECKING:
    from backtrans.analysis.pairs import Columns, PairSet

app = typer.Typer()


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="Pairs: JSON Lines, JSON or Parquet.")],
    to: Annotated[Path, typer.Option("--out", help="Where they go: *.jsonl or *.parquet.")],
    judge: Annotated[Path | None, typer.Option(help="The judge's YAML file.")] = None,
    run: Annotated[Path | None, typer.Option(help="Or a run's, whose judge is asked.")] = None,
    instruction: Annotated[str, typer.Option(help="The file's column.")] = "instruction",
    generation: Annotated[
        str | None,
        typer.Option(help="The file's column; else generation, response, output or completion."),
    ] = None,
    names: Annotated[
        Literal["dria", "distilabel"], typer.Option(help="Whose names the columns have.")
    ] = "dria",
    compare_all: Annotated[
        bool, typer.Option("--compare-all", help="Ask the last judge about every pair, to compare.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what another judge wrote.")
    ] = False,
) -> None:
    """Score pairs that you have: every row with a score or a reason. Run it again to go on."""
    from backtrans.judge.account import lines
    from backtrans.judge.instruction_backtranslation import InstructionBacktranslation

    if (judge is None) == (run is None):
        raise ConfigError("give --judge, a judge's file, or --run, a run's: one of the two")
    if judge is not None:
        asked = InstructionBacktranslation.from_file(judge, compare_all=compare_all)
    else:
        assert run is not None
        asked = InstructionBacktranslation.from_run(run, compare_all=compare_all)
    with asked:
        account = asked.judge_file(
            file,
            to,
            instruction=instruction,
            generation=generation,
            names=names,
            overwrite=overwrite,
            say=say,
        )
    for line in lines(account, asked.judging.judges):
        say(line)
    if not account.scored:
        raise RunIncomplete(f"none of {account.rows:,} pairs was scored; {to} says why")


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="The evaluation's YAML file.", metavar="FILE")],
    json: Annotated[
        Path | None, typer.Option("--json", help="Write everything, every pair too, to this file.")
    ] = None,
) -> None:
    """Compare outputs with a reference's, judged in both orders: win rates and their intervals."""
    from backtrans.evaluation.contest import hold
    from backtrans.evaluation.result import document, tables
    from backtrans.evaluation.settings import load_evaluation
    from backtrans.evaluation.win_rate import figures

    evaluation = load_evaluation(file)
    contest = hold(evaluation, say)
    rejects = [each for _, each in contest.judged if isinstance(each, Reject)]
    judged = len(contest.judged) - len(rejects)
    if judged:
        found = figures(contest.judged, seed=evaluation.seed, resamples=evaluation.resamples)
        for table in tables(contest, found):
            out().print(table)
        if json is not None:
            write_json(json, document(evaluation, contest, found))
            say(f"{json}: {len(contest.judged):,} pair(s)")
    if not judged or judged < evaluation.min_judged * len(contest.judged):
        first = f"; the first: {rejects[0].reason}: {rejects[0].detail}" if rejects else ""
        raise RunIncomplete(
            f"{judged:,} of {len(contest.judged):,} pairs were judged, fewer than min_judged"
            f" {evaluation.min_judged:g} asks for{first}"
        )


@app.command()
def analyze(
    splits: Annotated[
        list[str],
        typer.Argument(
            help="A file, a folder, or a run's split such as run.yaml:A5 or run.yaml:A4@3;"
            " NAME=... calls it so.",
            metavar="SPLIT...",
        ),
    ],
    instruction: Annotated[str, typer.Option(help="A file's column.")] = "instruction",
    response: Annotated[
        str | None,
        typer.Option(help="A file's column; else response, generation, output or completion."),
    ] = None,
    score: Annotated[str, typer.Option(help="A file's column, where it has one.")] = "score",
    tokenizer: Annotated[
        Path | None, typer.Option(help="Count its tokens: a folder with tokenizer.json.")
    ] = None,
    mauve: Annotated[
        Path | None, typer.Option(help="Compare responses with the first's by this model's folder.")
    ] = None,
    pooling: Annotated[
        Literal["last", "mean"], typer.Option(help="Which state stands for a text.")
    ] = "last",
    tagger: Annotated[
        Path | None, typer.Option(help="Count tags by the model that this YAML file names.")
    ] = None,
    sample: Annotated[
        int, typer.Option(help="Pairs of each set that models are asked about.", min=1)
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Of every draw.", min=0)] = 0,
    json: Annotated[Path | None, typer.Option("--json", help="Write it to this file.")] = None,
) -> None:
    """Say what sets of pairs are like: lengths, diversity, scores, complexity, distances."""
    from backtrans.analysis import accounts, lengths
    from backtrans.analysis.complexity import load_tagging
    from backtrans.analysis.pairs import Columns
    from backtrans.analysis.tables import document, tables

    tagging = load_tagging(tagger) if tagger else None
    ruler = lengths.tokens(tokenizer) if tokenizer else lengths.words()
    sets = [_set(each, Columns(instruction, response, score)) for each in splits]
    found = accounts.Analysis(seed, sample, accounts.accounts(sets, ruler, seed))
    if mauve is not None:
        found.distances = accounts.distances(sets, mauve, pooling, sample, seed)
    if tagging is not None:
        accounts.tag(sets, found.accounts, tagging, sample, seed, say)
    for table in tables(found):
        out().print(table)
    if json is not None:
        write_json(json, document(found))


@app.command()
def audit(
    judge: Annotated[Path, typer.Argument(help="The judge's YAML file.", metavar="JUDGE")],
    pairs: Annotated[
        Path, typer.Argument(help="A file or folder of pairs, as for analyze.", metavar="PAIRS")
    ],
    attacks: Annotated[
        str | None, typer.Option(help="Their names, by commas; all of them unless told.")
    ] = None,
    sample: Annotated[int, typer.Option(help="Pairs that are asked about.", min=1)] = 500,
    seed: Annotated[int, typer.Option(help="Of every draw.", min=0)] = 0,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write everything, every score too, to this file.")
    ] = None,
) -> None:
    """Say how far a judge's score moves by what changes no quality, and by what a page may say."""
    import random

    from backtrans.analysis.pairs import Columns, read_pairs
    from backtrans.audit import probing, result
    from backtrans.judge.settings import load_judging
    from backtrans.recipe import Curate
    from backtrans.serving import engine_settings, score_role, serving

    names = probing.chosen(attacks)
    judging = load_judging(judge)
    read = read_pairs(pairs.stem, pairs, Columns())
    asked = list(zip(read.instructions, read.responses, strict=True))
    if len(asked) < probing.MIN_PAIRS:
        raise InputError(
            f"{pairs}: {len(asked)} pairs; an audit needs {probing.MIN_PAIRS} at least"
        )
    if len(asked) > sample:
        asked = random.Random(seed).sample(asked, sample)
    audits = {}
    for number, each in enumerate(judging.judges, start=1):
        name = f"{number}: {Path(each.model.adapter or each.model.path).name}"
        adapter = "judge" if each.model.adapter else None
        with serving(engine_settings({"judge": each.model}, judging.engine_of(each))) as engine:
            role = score_role(each.score, adapter)
            found = probing.audit(engine, role, asked, names, a5=Curate().a5, seed=seed)
        audits[name] = found
        for table in result.tables(name, found):
            out().print(table)
        say(result.summary(name, found))
    if json is not None:
        settings = {"judging": judging.model_dump(mode="json"), "seed": seed, "attacks": names}
        write_json(json, result.document(settings, audits))
        say(f"{json}: {len(asked):,} pair(s)")


_OF_A_RUN = re.compile(r"(?P<config>.+\.ya?ml):(?P<split>[^:@]+)(?:@(?P<number>[0-9]+))?")
_NAMED = re.compile(r"(?P<name>[^=/]+)=(?P<what>.+)")


def _set(said: str, columns: "Columns") -> "PairSet":
    """Read what an argument names. Raises: ConfigError, InputError, StoreError."""
    from backtrans.analysis.pairs import pairs_of, read_pairs

    named = None if Path(said).exists() else _NAMED.fullmatch(said)
    what = named["what"] if named else said
    of_a_run = None if Path(what).exists() else _OF_A_RUN.fullmatch(what)
    if of_a_run is None:
        return read_pairs(named["name"] if named else Path(what).stem, Path(what), columns)
    pipeline = opened(Path(of_a_run["config"]))
    number, split = of_a_run["number"], of_a_run["split"]
    ledger = pipeline.ledger
    snapshot = latest(ledger) if number is None else numbered(ledger, int(number))
    if snapshot is None:
        raise ConfigError(f"{what}: no snapshot published yet: there is nothing to analyse")
    if split not in snapshot.files:
        raise ConfigError(f"{what}: no split {split!r}; there are {', '.join(snapshot.files)}")
    name = named["name"] if named else f"{Path(of_a_run['config']).stem}:{split}"
    return pairs_of(name, read_split(ledger, snapshot, split))
