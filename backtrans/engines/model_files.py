"""Models as folders: whether one can be served, and what identifies it.

Promises: a folder that an engine could not serve is named, with what is wrong, before an engine is
started; a fingerprint changes when the weights, the configuration or the tokenizer do, and not when
the folder moves.

Does not know: torch, vLLM, whether the weights are any good. What lies on a hub is not looked at: a
hub id is identified by its revision.
"""

import hashlib
import json
import re
from pathlib import Path

from backtrans.engines.adapter_files import base_of, check_adapter
from backtrans.engines.folders import JsonObject, open_folder, read_json, tensor_shapes
from backtrans.errors import ModelError

_MIB = 2**20
_WHOLE_BELOW_BYTES = 64 * _MIB
_IDENTIFYING = re.compile(
    r".*\.safetensors|.*\.safetensors\.index\.json|config\.json|generation_config\.json"
    r"|adapter_config\.json|tokenizer.*|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.(json|txt)|merges\.txt|chat_template\.(jinja|json)"
)
"""The files that decide what a model answers; a README, a log or an optimizer's state does not."""

_PICKLED = {".bin", ".pt", ".pth", ".ckpt"}
"""Endings of weights as torch pickles them."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def is_local(model: str) -> bool:
    """Say whether `model` names a folder here; else it has the form of a hub id.

    Raises: ModelError for a path that is not there.
    """
    if Path(model).is_dir():
        return True
    if Path(model).exists():
        raise ModelError(f"{model} is a file, not a model folder")
    if not _HUB_ID.fullmatch(model):
        raise ModelError(f"{model} is neither a folder that exists nor a hub id")
    return False


def model_fingerprint(model: str, revision: str | None = None) -> str:
    """Return what identifies a model, or an adapter: a hash of its content, or id@revision.

    Large weight files are identified by their size and their first and last MiB, so a folder of any
    size costs milliseconds. Raises: ModelError for a broken folder, or a hub id without a revision.
    """
    if not is_local(model):
        if not revision:
            raise ModelError(
                f"{model} is not a folder here; as a hub id it needs a revision (a commit hash):"
                " without one, the weights could change under a finished run"
            )
        return f"{model}@{revision}"
    folder = Path(model)
    if (folder / "adapter_config.json").is_file():
        check_adapter(folder)
    else:
        check_model(folder)
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and _IDENTIFYING.fullmatch(path.name):
            digest.update(json.dumps([path.name, _file_hash(path)]).encode())
    return digest.hexdigest()[:24]


def check_base(adapter: str | Path, base: str, revision: str | None = None) -> None:
    """Refuse an adapter that was trained on another base than this one.

    An adapter that names no base is taken as it is. Raises: ModelError naming both.
    """
    trained_on = base_of(adapter)
    if trained_on is not None and trained_on != (found := model_fingerprint(base, revision)):
        raise ModelError(
            f"{adapter} was trained on another base: on {trained_on}, and {base} is {found}"
        )


def check_model(model: str | Path, needed_tokens: int = 0) -> JsonObject:
    """Return a model folder's config.json, once it is sure that the folder can be served.

    Raises: ModelError naming the folder and what is missing or unreadable, or the context that the
    model has where `needed_tokens` is more.
    """
    folder = open_folder(model)
    config = read_json(folder, "config.json")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = [path.name for path in sorted(folder.iterdir()) if path.suffix in _PICKLED]
        also = [f"{name} is not loaded, since it may run code: save it anew" for name in pickled]
        raise ModelError("; ".join([f"{folder} has no .safetensors file", *also[:1]]))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = read_json(folder, index.name).get("weight_map")
        if not isinstance(named, dict):
            raise ModelError(f"{index} has no weight_map")
        if missing := sorted(set(named.values()) - {path.name for path in weights}):
            raise ModelError(f"{folder} lacks {', '.join(missing)}, named in {index.name}")
    for path in weights:
        tensor_shapes(path)
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{folder} has no tokenizer.json")
    context = config.get("max_position_embeddings")
    stretched = "factor" in (config.get("rope_parameters") or config.get("rope_scaling") or {})
    if isinstance(context, int) and not stretched and needed_tokens > context:
        raise ModelError(
            f"max_model_tokens {needed_tokens:,} is more than the {context:,} positions of {folder}"
        )
    return config


def _file_hash(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size < _WHOLE_BELOW_BYTES:
            digest.update(file.read())
        else:
            digest.update(file.read(_MIB))
            file.seek(size - _MIB)
            digest.update(file.read(_MIB))
    return digest.hexdigest()
