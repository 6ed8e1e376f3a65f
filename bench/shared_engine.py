"""Two roles on one engine, against an engine for each: start, memory and speed.

    python -m bench.shared_engine [--pages 100]

Three ways to serve a backward and a forward model on the micro-world's base: one vLLM with an
adapter for each; two with one adapter each; two with merged models, as the demo does on a CPU. An
engine has a process of its own, as in an actor. Both roles are asked at once, the same requests
each way: an instruction for each page, and a score for each page with its true instruction. The
adapters are random and small, since their cost does not depend on what they say; an instruction is
cut at 48 tokens.

Printed are the seconds until all engines of a way are ready (they start at once); the memory of all
their processes, as the largest sum of PSS seen and as the sum of each one's VmHWM, where shared
pages count once for each process; and both roles' rows a second, the best of several turns. A GPU
has other ratios: on a CPU, vLLM gathers an adapter's weights anew for every token.
"""

import argparse
import asyncio
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from backtrans.dialogue import Choose, Generate, Message, Request
from backtrans.engines.engine import EngineSettings
from backtrans.microworld.world import World, WorldDocument
from backtrans.roles import backtranslate, score
from bench import book
from bench.book import Figure

SEED = 4117
TURNS = 3
LOOK_SECONDS = 0.5
ROLES = ("backward", "forward")


def requests(role: str, pages: list[WorldDocument], adapter: str | None) -> list[Request]:
    """Write a role's request for each page."""
    if role == "backward":
        want = Generate(max_tokens=48)
        return [Request(backtranslate.render(page.text), want, adapter) for page in pages]
    return [Request(_asked(page), Choose(score.DIGITS), adapter) for page in pages]


def _asked(page: WorldDocument) -> tuple[Message, ...]:
    return score.render(page.instruction or "What is this?", page.text, "constrained")


def write_models(folder: Path) -> None:
    """Write an adapter and a merged model for each role."""
    import torch

    from backtrans.microworld.adapt import BASE
    from backtrans.microworld.lora import Lora
    from backtrans.microworld.merge import merge
    from backtrans.microworld.network import load

    base = load(BASE)
    for seed, role in enumerate(ROLES):
        lora = Lora(base, seed)
        with torch.no_grad():
            for factor in lora.b.values():
                factor.normal_(std=0.01, generator=torch.Generator().manual_seed(seed))
        lora.write(folder / role)
        merge(BASE, folder / role, folder / f"merged-{role}")


def settings(folder: Path, roles: list[str], merged: bool) -> EngineSettings:
    """Say what an engine for these roles opens."""
    from backtrans.microworld.adapt import BASE

    adapters = {} if merged else {role: str(folder / role) for role in roles}
    model = str(folder / f"merged-{roles[0]}" if merged else BASE)
    return EngineSettings(
        "vllm", model, adapters=adapters, max_model_tokens=1024, max_batched_tokens=4096, eager=True
    )


def serve(folder: Path, roles: list[str], merged: bool, count: int) -> None:
    """Open an engine; at each line of stdin ask it another turn, and say what each role wrote."""
    from backtrans.engines.opening import open_engine

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM writes to stdout, too
    engine = open_engine(settings(folder, roles, merged))
    print("ready", file=answers, flush=True)
    pages = World(SEED).documents(count * TURNS + 32)
    try:
        for turn, _ in enumerate(sys.stdin):
            drawn = pages[:32] if turn == 0 else pages[32:][(turn - 1) * count : turn * count]
            asked = [requests(role, drawn, None if merged else role) for role in roles]

            async def together(asked: list[list[Request]] = asked) -> list[int]:
                replies = await asyncio.gather(*[engine.answer(each) for each in asked])
                return [sum(reply.output_tokens for reply in each) for each in replies]

            print(sum(asyncio.run(together())), file=answers, flush=True)
    finally:
        engine.close()


@dataclass
class Memory:
    """Of a tree of processes: the largest sum of PSS that was seen, and each one's VmHWM."""

    pss_mib: float = 0.0

    def __post_init__(self) -> None:
        self._peaks: dict[int, float] = {}

    @property
    def peaks_mib(self) -> float:
        return sum(self._peaks.values())

    def look(self, pids: list[int]) -> None:
        """Read /proc of these processes and of all below them."""
        pss = 0.0
        for pid in pids:
            for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
                try:
                    pss += _mib(process.pid, "smaps_rollup", "Pss")
                    # Not ru_maxrss, which a child inherits from the one that started it.
                    self._peaks[process.pid] = _mib(process.pid, "status", "VmHWM")
                except (OSError, KeyError):  # it has ended
                    continue
        self.pss_mib = max(self.pss_mib, pss)


def _mib(pid: int, file: str, key: str) -> float:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(found[key].split()[0]) / 1024


@contextmanager
def engines(
    folder: Path, ways: list[list[str]], merged: bool, count: int
) -> Iterator[list[subprocess.Popen[str]]]:
    """Start a process for each engine, and end them."""
    command = [sys.executable, "-m", "bench.shared_engine", "--in", str(folder)]
    command += ["--pages", str(count), *(["--merged"] if merged else [])]
    with (folder / "log").open("a") as log:
        started = [
            subprocess.Popen(
                [*command, "--serve", *roles],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            for roles in ways
        ]
    try:
        yield started
    finally:
        for each in started:
            assert each.stdin is not None
            each.stdin.close()
        for each in started:
            each.wait(120)


def said(server: subprocess.Popen[str], memory: Memory, pids: list[int], folder: Path) -> str:
    """Wait for a line of a server, looking at the memory of all of them meanwhile."""
    assert server.stdout is not None
    while not select.select([server.stdout], [], [], LOOK_SECONDS)[0]:
        memory.look(pids)
    line = server.stdout.readline()
    if not line:
        raise SystemExit(f"an engine has ended:\n{(folder / 'log').read_text()[-4_000:]}")
    return line


def measured(
    folder: Path, ways: list[list[str]], merged: bool, count: int
) -> tuple[float, Memory, float, int]:
    """Return seconds to start, memory, rows a second of the best turn, and the tokens written."""
    memory = Memory()
    began = time.monotonic()
    with engines(folder, ways, merged, count) as servers:
        pids = [server.pid for server in servers]
        for server in servers:
            said(server, memory, pids, folder)
        start_seconds = time.monotonic() - began
        speeds, tokens = [], 0
        for turn in range(TURNS + 1):
            began = time.monotonic()
            for server in servers:
                assert server.stdin is not None
                server.stdin.write("\n")
                server.stdin.flush()
            written = [int(said(server, memory, pids, folder)) for server in servers]
            if turn:  # the first is to warm up
                speeds.append(2 * count / (time.monotonic() - began))
                tokens += sum(written)
        memory.look(pids)
    return start_seconds, memory, max(speeds), tokens


def main() -> None:
    """Print the figures, or serve one engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--serve", nargs="+", help="the roles of one engine; for the servers")
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--merged", action="store_true")
    asked, figures = book.asked(parser), []
    if asked.serve:
        serve(asked.folder, asked.serve, asked.merged, asked.pages)
        return
    each = [[role] for role in ROLES]
    found = {}
    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as name:
        folder = Path(name)
        write_models(folder)
        for way, roles, merged in (
            ("one engine, two adapters", [list(ROLES)], False),
            ("two engines, an adapter each", each, False),
            ("two engines, merged models", each, True),
        ):
            found[way] = measured(folder, roles, merged, asked.pages)
            start, memory, speed, tokens = found[way]
            print(
                f"{way:30} {start:6.1f} s to start, {memory.pss_mib:6,.0f} MiB PSS,"
                f" {memory.peaks_mib:6,.0f} MiB VmHWM, {speed:6.1f} rows/s, {tokens:,} tokens",
                flush=True,
            )
    one, *others = found.items()
    for way, (start, memory, speed, _) in others:
        print(
            f"one engine / {way}: {one[1][0] / start:.2f} of the start,"
            f" {one[1][1].pss_mib / memory.pss_mib:.2f} of the memory,"
            f" {one[1][2] / speed:.2f} of the rows/s"
        )
        beside = ("", way)
        best = f"best of {TURNS}"
        figures += [
            Figure("one engine: start", one[1][0] / start, *beside),
            Figure("one engine: memory", one[1][1].pss_mib / memory.pss_mib, *beside),
            Figure("one engine: rows/s", one[1][2] / speed, *beside, runs=best),
        ]
    book.record(asked, *figures)


if __name__ == "__main__":
    main()
