"""A tagging model without a model: a tag for each word that begins with a capital letter."""

import json

from backtrans.dialogue import Reply, Request


def tags_capitals(request: Request, seed: int) -> Reply:
    text = request.messages[0].content.split("[begin]\n")[1].split("\n[end]")[0]
    if "untaggable" in text:
        return Reply("I cannot tag this.", "stop")
    found = [word for word in text.split() if word[0].isupper()]
    return Reply(json.dumps([{"tag": word, "explanation": "a name"} for word in found]), "stop")
