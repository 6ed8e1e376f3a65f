"""Reading the folders of models and adapters: JSON, and the heads of safetensors files.

Promises: whatever cannot be read is a `ModelError` that names the file; no weight is loaded.

Does not know: what a model or an adapter must hold.
"""

import json
import struct
from pathlib import Path
from typing import Any

from backtrans.errors import ModelError

JsonObject = dict[str, Any]

_HEAD_LIMIT_BYTES = 100_000_000
"""Source: the safetensors format's own bound on the length of its head."""


def open_folder(path: str | Path) -> Path:
    """Return a folder's path. Raises: ModelError where there is none."""
    folder = Path(path)
    if not folder.is_dir():
        raise ModelError(f"{folder} is {'not a folder' if folder.exists() else 'missing'}")
    return folder


def read_json(folder: Path, name: str) -> JsonObject:
    """Return a JSON file's object. Raises: ModelError naming the folder or the file."""
    path = folder / name
    if not path.is_file():
        raise ModelError(f"{folder} has no {name}")
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a JSON object")
    return value


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a safetensors file's tensors, from its head.

    Raises: ModelError where the head is not one, or the file is shorter than it says.
    """
    return _head(path)[0]


def tensor_metadata(path: Path) -> dict[str, str]:
    """Return what a safetensors file says of itself. Raises: ModelError as above."""
    return _head(path)[1]


def _head(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _HEAD_LIMIT_BYTES:
                raise ModelError(f"{path} is not a safetensors file")
            head = json.loads(file.read(length))
        said = {str(name): str(value) for name, value in head.pop("__metadata__", {}).items()}
        end = max((tensor["data_offsets"][1] for tensor in head.values()), default=0)
        shapes = {name: tuple(tensor["shape"]) for name, tensor in head.items()}
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except (
        struct.error,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ModelError(f"{path} is not a safetensors file") from error
    if path.stat().st_size != 8 + length + end:
        raise ModelError(
            f"{path} has {path.stat().st_size:,} bytes; its head says {8 + length + end:,}"
        )
    return shapes, said
