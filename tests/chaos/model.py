"""A scripted model that writes down that it was asked."""

from backtrans.dialogue import Reply, Request
from backtrans.engines.scripted import default
from tests.chaos.diary import note

NAME = f"scripted:{__name__}:answer"


def answer(request: Request, seed: int) -> Reply:
    note("asked")
    return default(request, seed)
