"""Texts as vectors: what a language model makes of them at its last layer.

Promises: a vector does not depend on which other texts are in its batch, but for rounding; a text
that is longer than the model's context is cut to it; one without a token is an error.

Does not know: what vectors are for. torch and transformers are imported here, when it is asked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from backtrans.errors import ModelError

Floats = np.ndarray[Any, np.dtype[np.float32]]

Pooling = Literal["last", "mean"]
"""Which state stands for a text: its last token's, as in MAUVE, or the mean over its tokens, as in
most sentence models."""

MAX_TOKENS = 1024
"""Source: mauve-text 0.4, max_text_length."""

BATCH_TEXTS = 16
"""Source: this project's choice; texts are sorted by length first, so that little is padding."""


def embed(folder: Path, texts: Sequence[str], pooling: Pooling) -> Floats:
    """Return the vectors of texts. Shape: N -> (N, width). Raises: ModelError."""
    import torch

    tokenizer, model, device = _loaded(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"  # the last token is then where the mask ends
    # A model may have more positions than it takes tokens: RoBERTa's begin behind its padding's.
    positions = getattr(model.config, "max_position_embeddings", None) or MAX_TOKENS
    most = min(MAX_TOKENS, positions, tokenizer.model_max_length)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found: dict[int, Any] = {}
    with torch.inference_mode():
        for start in range(0, len(order), BATCH_TEXTS):
            batch = order[start : start + BATCH_TEXTS]
            given = tokenizer(
                [texts[index] for index in batch],
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=most,
            ).to(device)
            given.pop("token_type_ids", None)
            mask = given["attention_mask"]
            if int(mask.sum(dim=1).min()) == 0:
                raise ModelError(f"{folder}: its tokenizer finds no token in one of the texts")
            states = model(**given).last_hidden_state
            if pooling == "last":
                vectors = states[torch.arange(len(batch)), mask.sum(dim=1) - 1]
            else:
                weights = mask.unsqueeze(-1).to(states.dtype)
                vectors = (states * weights).sum(dim=1) / weights.sum(dim=1)
            found |= dict(zip(batch, vectors.float().cpu().numpy(), strict=True))
    return np.stack([found[index] for index in range(len(texts))])


def _loaded(folder: Path) -> tuple[Any, Any, str]:
    """Return a tokenizer, a model and its device."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no folder of a model; download it first")
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        here = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(folder, **here)
        model = AutoModel.from_pretrained(folder, **here, use_safetensors=True).to(device).eval()
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: does not load: {error}") from error
    if tokenizer.pad_token_id is None and tokenizer.eos_token is None:
        raise ModelError(f"{folder}: its tokenizer has neither a padding nor an end token")
    return tokenizer, model, device
