"""Read OpenAssistant's trees: of each conversation the first turn and its best reply.

Source of the selection: 2308.06259 section 3.1: English, the first turn, replies of rank 0. Of the
format: the data set's own description (2304.07327), message trees, one a line.

Promises: every tree is one pair, or a reason why it is none.

Does not know: files, lines.
"""

from typing import Any

from backtrans.training.pairs import Refused, TrainingPair, Why


def is_tree(row: dict[str, Any]) -> bool:
    """Say whether a row is a conversation tree."""
    prompt = row.get("prompt")
    return isinstance(prompt, dict) and "replies" in prompt


def pair_of(tree: dict[str, Any], language: str) -> TrainingPair | Refused:
    """Return a tree's pair: its first turn, and the reply that people ranked first."""
    prompt = tree["prompt"]
    if (why := _unfit(prompt, language)) is not None:
        return Refused(why)
    replies = prompt["replies"] if isinstance(prompt["replies"], list) else []
    for reply in replies:
        if (
            isinstance(reply, dict)
            and reply.get("rank") == 0
            and reply.get("role") == "assistant"
            and _unfit(reply, language) is None
        ):
            return TrainingPair(prompt["text"], reply["text"])
    return Refused("no_best_reply")


def _unfit(message: dict[str, Any], language: str) -> Why | None:
    if not isinstance(message.get("text"), str):
        return "not_text"
    if message.get("lang") != language:
        return "other_language"
    if message.get("deleted") or message.get("review_result") is False:
        return "deleted"
    return None
