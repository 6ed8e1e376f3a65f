"""The tagging role: which intentions and subjects does a text have, in a few words each?

How many there are stands for how complex the text is. The answer is JSON; what is not, is a reject,
never a text without tags.

Knows InsTag's prompt and how its answer is read; does not know which model tags.
"""

import re
from dataclasses import dataclass, field

import orjson

from backtrans.dialogue import Generate, Message, Request
from backtrans.records import Reject, Row
from backtrans.roles.role import Dialogue, refusal

PROMPT = (
    "You are a tagging system that provides useful tags for instruction intentions to distinguish"
    " instructions for a helpful AI assistant. Below is an instruction:\n[begin]\n{text}\n[end]\n"
    'Please provide coarse-grained tags, such as "Spelling and Grammar Check" and "Cosplay", to'
    " identify main intentions of above instruction.\nYour answer should be a list including titles"
    " of tags and a brief explanation of each tag. Your response have to strictly follow this JSON"
    ' format: [{"tag": str, "explanation": str}]. Please response in English.'
)
"""Source: 2308.07074 (InsTag) table 4, to the letter, since its public tagger learned from the
answers to it. 2408.04614 section 5.3 has responses tagged the same way."""


_SPECIAL = re.compile(r"\W+")


def render(text: str) -> tuple[Message, ...]:
    """Return the messages that ask for a text's tags."""
    before, after = PROMPT.split("{text}")
    return (Message("user", before + text + after),)


def parse(text: str) -> list[str] | Reject:
    """Read the titles of tags, each once.

    Source: 2308.07074, rule aggregation: in lower case, special characters as spaces. Its stemming
    and its clustering of all tags of a set are left out: what counts here is how many one text has.
    """
    body = text.strip()
    if body.startswith("```") and body.endswith("```"):
        body = body.strip("`").removeprefix("json").strip()
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Reject("tags_malformed", f"not JSON: {error}")
    if not isinstance(found, list):
        return Reject("tags_malformed", "no list")
    titles = [each.get("tag") if isinstance(each, dict) else None for each in found]
    tags = [_SPECIAL.sub(" ", t.lower()).strip() for t in titles if isinstance(t, str)]
    if len(tags) < len(titles) or not all(tags):
        return Reject("tags_malformed", "an entry without a tag")
    return sorted(set(tags))


@dataclass(frozen=True, slots=True)
class Tag:
    """Asks for the tags of one text.

    Source: written greedily, so that a count does not depend on a draw; 512 tokens hold some twenty
    tags with their explanations.
    """

    sampling: Generate = field(default=Generate(max_tokens=512))
    adapter: str | None = None
    version: str = "tag/1"

    def converse(self, row: Row) -> Dialogue:
        """Ask once. Row in: `text`. Fields out: `tags`."""
        replies = yield (Request(render(row["text"]), self.sampling, self.adapter),)
        if (refused := refusal(replies)) is not None:
            return refused
        (reply,) = replies
        if reply.finish == "length":
            return Reject("tags_unfinished", f"{reply.output_tokens} tokens, no end")
        tags = parse(reply.text)
        return tags if isinstance(tags, Reject) else {"tags": tags}
