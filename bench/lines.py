"""Texts against the micro-world's truth, line by line: what models answer, what rewriting leaves.

bench.truth asks; nothing is run here by itself.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backtrans.dialogue import Message
from backtrans.microworld.answers import answer
from backtrans.microworld.truth import matches
from backtrans.pipeline import Pipeline
from backtrans.roles.role import SEED_TAG
from backtrans.rounds import Rounds


class Notes:
    """An observer that writes to standard error."""

    def note(self, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)

    def phase(self, name: str, addresses: int) -> None:
        self.note(f"{name}: {addresses:,}")

    def receipt(self, receipt: Any) -> None:
        """Hear nothing of single shards."""


def rewritten(
    rounds: Rounds, last: Pipeline, truth: list[Any], notes: Notes
) -> dict[str, float | None]:
    """Have M_1 keep lines of every pair that answers its instruction; count lines by their truth.

    Not rewriting as the paper does it: a model of this size invents (docs/log.md).
    """
    recipe = last.config.recipe
    models = recipe.models.model_copy(update={"rewrite": recipe.models.forward})
    curate = recipe.curate.model_copy(update={"filter": False})
    rewrite = recipe.rewrite.model_copy(update={"enabled": True, "form": "lines"})
    changed = {"models": models, "curate": curate, "rewrite": rewrite}
    job = rounds.first.over(
        last.config.model_copy(update={"recipe": recipe.model_copy(update=changed)})
    )
    job.run(notes)
    known = {document.id: document for document in truth}
    lines = dict.fromkeys(("noise", "removed", "content", "kept", "written", "invented"), 0)
    for row in job.rows("choose"):
        document = known[row["document_id"]]
        if row["response_from"] != "rewritten" or not matches(
            row["instruction"], document.instruction
        ):
            continue
        source = row["original_response"].split("\n")
        page = answer(document.instruction, row["original_response"])
        assert page is not None
        result = row["response"].split("\n")
        for line, is_true in zip(source, page.true, strict=True):
            lines["content" if is_true else "noise"] += 1
            if is_true:
                lines["kept"] += line in result
            else:
                lines["removed"] += line not in result
        lines["written"] += len(result)
        lines["invented"] += sum(line not in source for line in result)
    return {
        "noise removed": lines["removed"] / lines["noise"] if lines["noise"] else None,
        "content kept": lines["kept"] / lines["content"] if lines["content"] else None,
        "invented": lines["invented"] / lines["written"] if lines["written"] else None,
        "lines": float(lines["content"] + lines["noise"]),
    }


def answered(folder: Path, questions: Sequence[str], seed: int) -> dict[str, float | None]:
    """Ask a model, and compare its answers with the truth."""
    import torch
    from transformers import AutoModelForCausalLM

    from backtrans.engines.prompt import Prompter
    from backtrans.training.examples import tokenizer_of

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = tokenizer_of(str(folder), None)
    prompter = Prompter(tokenizer)
    prompts = [prompter.prompt((Message("user", f"{q} {SEED_TAG}"),)) for q in questions]
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    figures: dict[str, float | None] = {}
    for name, sampling in (
        ("greedy", {"do_sample": False}),
        ("sampled", {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 0}),
    ):
        torch.manual_seed(seed)
        with torch.no_grad():
            out = model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=150,
                pad_token_id=tokenizer.eos_token_id,
                **sampling,
            )
        texts = tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        seen = [answer(q, text) for q, text in zip(questions, texts, strict=True)]
        known = [each for each in seen if each is not None]
        written = sum(each.written for each in known)
        true = sum(sum(each.true) for each in known)
        figures |= {
            f"{name}: whole": sum(each.whole for each in known) / len(known),
            f"{name}: true lines": true / written if written else None,
            f"{name}: of the page": true / sum(each.needed for each in known),
        }
    return figures
