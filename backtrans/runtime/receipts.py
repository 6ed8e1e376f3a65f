"""Receipts and addresses as small JSON texts: what travels between a driver and its workers."""

import json
from dataclasses import asdict
from typing import Any

from backtrans.ledger import Commit, Usage
from backtrans.records import Counts
from backtrans.work import Address, Receipt


def address_text(address: Address) -> str:
    """Write an address."""
    return json.dumps(asdict(address))


def address_from(text: str) -> Address:
    """Read an address that `address_text` wrote."""
    return Address(**json.loads(text))


def receipt_text(receipt: Receipt) -> str:
    """Write a receipt."""
    return json.dumps(asdict(receipt))


def receipt_from(text: str) -> Receipt:
    """Read a receipt that `receipt_text` wrote."""
    fields: dict[str, Any] = json.loads(text)
    commits = tuple(_commit(commit) for commit in fields["commits"])
    return Receipt(**fields | {"address": Address(**fields["address"]), "commits": commits})


def _commit(fields: dict[str, Any]) -> Commit:
    counts, usage = Counts(**fields["counts"]), Usage(**fields["usage"])
    return Commit(**fields | {"counts": counts, "usage": usage})
