"""Turn the base into the two roles: M_yx and M_0, each a LoRA adapter, trained in two processes.

M_yx learns output -> instruction on seed pairs, the loss on the instruction only. M_0 learns
instruction -> output on the same pairs, and replays ratings in both forms, without which it would
forget how to rate. For the audit there are two more, of which each only rates, under every set of
defences: one has never met a page that talks to its judge, the other has (`injected`).

Promises: an adapter folder is whole or absent; the same base, settings and seed give the same
cache key, and what is cached is not trained again. The prompts are the project's roles'.

Does not know vLLM, pages' noise, or what the adapters are used for.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

from backtrans.errors import ModelError

BASE = Path(__file__).parent / "base"
"""The base that the package ships."""

GENERATOR_VERSION = "microworld/1"
"""Part of the cache key: a new one whenever the world's text or a training example changes."""

RoleName = Literal["backward", "forward", "judge", "hardened"]


@dataclass(frozen=True, slots=True)
class Training:
    """What decides an adapter besides the base and the seed.

    Source: steps so that both end within 90 s on two idle cores; M_0's rate is the best of 2e-3,
    3e-3 and 6e-3 on pages of world 101 (the digit's expectation on clean pages).
    """

    role: RoleName
    steps: int
    rate: float = 3e-3
    seed_pairs: int = 3200  # Source: 2308.06259, the size of the paper's seed set
    ratings_per_pair: int = 1  # M_0 only: half of its examples; the feasibility study had 30%
    empty_every: int = 10  # M_0 only: every so many pairs, an empty instruction, for log p(y)
    near_share: float = 0.02  # of ratings: a backward model's error is rarer than the base's drill
    far_share: float = 0.08
    row_tokens: int = 352
    batch_rows: int = 6


TRAININGS = (Training("backward", steps=80), Training("forward", steps=110, rate=2e-3))

JUDGES = (
    Training("judge", steps=150, rate=2e-3, row_tokens=768, batch_rows=4),
    Training("hardened", steps=150, rate=2e-3, row_tokens=768, batch_rows=4),
)
"""Source: rows so long that two ratings under all defences share one rubric."""


@dataclass(frozen=True, slots=True)
class Adapters:
    """The folders that an engine opens."""

    base: Path
    backward: Path
    forward: Path


Say = Callable[[str], None]


def adapters(cache: Path, *, seed: int = 0, base: Path = BASE, say: Say = print) -> Adapters:
    """Return both adapters, trained now if they are not in the cache.

    Raises: ModelError where the base is missing or a training fails.
    """
    folders = _trained(TRAININGS, cache, base, seed, say)
    return Adapters(base, folders["backward"], folders["forward"])


def judges(cache: Path, *, seed: int = 0, base: Path = BASE, say: Say = print) -> dict[str, Path]:
    """Return the audit's judges by their names, trained now if they are not in the cache.

    Raises: ModelError where the base is missing or a training fails.
    """
    return {str(name): folder for name, folder in _trained(JUDGES, cache, base, seed, say).items()}


def _trained(
    trainings: tuple[Training, ...], cache: Path, base: Path, seed: int, say: Say
) -> dict[RoleName, Path]:
    if not (base / "model.safetensors").is_file():
        raise ModelError(f"no micro-world base in {base}: train one with train_base")
    folders = {t.role: cache / f"{t.role}-{key(base, t, seed)}" for t in trainings}
    missing = [t for t in trainings if not (folders[t.role] / "adapter_config.json").is_file()]
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        _train_all(missing, base, folders, seed, say)
    return folders


def key(base: Path, training: Training, seed: int) -> str:
    """Return what names an adapter in the cache."""
    content = hashlib.sha256((base / "model.safetensors").read_bytes())
    content.update((base / "tokenizer.json").read_bytes())
    content.update(repr((sorted(asdict(training).items()), seed, GENERATOR_VERSION)).encode())
    return content.hexdigest()[:16]


def _train_all(
    missing: list[Training], base: Path, folders: dict[RoleName, Path], seed: int, say: Say
) -> None:
    # One process a role: a second thread would speed one of them up by a quarter only. Each is
    # an interpreter of its own, started as `-m`: multiprocessing's spawn would run the caller's
    # script again, and a fork of a process that has started threads may hang.
    running = [
        (t, _start("--role", t.role, "--base", base, "--out", folders[t.role], "--seed", seed))
        for t in missing
    ]
    with ThreadPoolExecutor(len(running)) as readers:
        for _, process in running:
            readers.submit(_relay, process, say)
    for training, process in running:
        if process.wait() != 0:
            raise ModelError(f"training {training.role} ended with exit code {process.returncode}")


def _start(*arguments: object) -> subprocess.Popen[str]:
    words = [str(a.resolve()) if isinstance(a, Path) else str(a) for a in arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "backtrans.microworld.adapt", *words],
        cwd=Path(__file__).parents[2],  # where `-m` finds the package, installed or not
        stdout=subprocess.PIPE,
        text=True,
    )


def _relay(process: subprocess.Popen[str], say: Say) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            say(line.rstrip("\n"))


def train(training: Training, base: Path, folder: Path, *, seed: int, say: Say = print) -> None:
    """Train one adapter on one thread and put it at `folder`, whole."""
    import torch
    from torch.nn import functional

    from backtrans.microworld.lora import Lora, hidden
    from backtrans.microworld.network import load
    from backtrans.microworld.packing import rows
    from backtrans.microworld.train_base import collate

    torch.set_num_threads(1)
    network = load(base)
    lora = Lora(network, seed)
    adam = torch.optim.AdamW(lora.parameters(), lr=training.rate, betas=(0.9, 0.99), weight_decay=0)
    packed = rows(_examples(training, base, seed), training.row_tokens)
    smooth = 0.0
    for step in range(training.steps):
        rate = training.rate * min(1.0, (step + 1) / 10, 1.1 - step / training.steps)
        ids, segments, positions, weights = collate(
            list(islice(packed, training.batch_rows)), training.row_tokens
        )
        merged = lora.merged()
        state = hidden(network, merged, ids, segments, positions)[:, :-1]
        chosen = weights[:, 1:] > 0
        logits = functional.linear(state[chosen], merged["embed"])
        losses = functional.cross_entropy(logits, ids[:, 1:][chosen], reduction="none")
        loss = (losses * weights[:, 1:][chosen]).sum() / weights[:, 1:][chosen].sum()
        adam.zero_grad()
        loss.backward()
        adam.param_groups[0]["lr"] = rate
        adam.step()
        smooth = loss.item() if step == 0 else 0.9 * smooth + 0.1 * loss.item()
        if (step + 1) % 20 == 0 or step + 1 == training.steps:
            say(f"{training.role}: step {step + 1} of {training.steps}, loss {smooth:.3f}")
    scratch = folder.with_name(f"{folder.name}.{os.getpid()}")
    lora.write(scratch)
    try:
        scratch.replace(folder)
    except OSError:  # another run put the same adapter there first
        shutil.rmtree(scratch)


def _examples(training: Training, base: Path, seed: int) -> Iterator[Any]:
    """Yield the role's examples, again and again."""
    from backtrans.microworld import curriculum, injected
    from backtrans.microworld.packing import with_shared
    from backtrans.microworld.tokenizer import Encoder
    from backtrans.microworld.world import World

    encoder = Encoder(base)
    rubrics = curriculum.rubric_ids(encoder)
    world = World(seed)
    pairs = world.seed_pairs(training.seed_pairs)
    rated_pairs = world.rated_pairs(
        training.seed_pairs, near_share=training.near_share, far_share=training.far_share
    )
    if training.role in ("judge", "hardened"):
        hardened = training.role == "hardened"
        yield from injected.examples(rated_pairs, encoder, seed, with_injected=hardened)
    ratings = cycle(rated_pairs)
    for turn, pair in enumerate(cycle(pairs)):
        if training.role == "backward":
            parts = [curriculum.backward_parts(pair.instruction, pair.output)]
        else:
            asked = "" if turn % training.empty_every == 0 else pair.instruction
            parts = [curriculum.forward_parts(asked, pair.output)]
            for number, rated in enumerate(islice(ratings, training.ratings_per_pair)):
                judged = (rated.instruction, rated.output, rated.rating)
                if (turn + number) % 2:
                    parts.append(curriculum.reasoned_parts(*judged, rated.reasoning))
                else:
                    parts.append(curriculum.digit_parts(*judged))
        for part in parts:
            yield with_shared(curriculum.encode(part, encoder), rubrics)


def main() -> None:
    """Train one adapter: what each of the two processes runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", choices=[t.role for t in (*TRAININGS, *JUDGES)], required=True)
    parser.add_argument("--base", type=Path, default=BASE)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    training = next(t for t in (*TRAININGS, *JUDGES) if t.role == arguments.role)
    train(training, arguments.base, arguments.out, seed=arguments.seed, say=_say_now)


def _say_now(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
