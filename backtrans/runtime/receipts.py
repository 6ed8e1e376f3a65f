"""Receipts and addresses as small JSON texts: what travels between a driver and its workers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from backtrans.ledger import Commit, Usage
from backtrans.records import Counts
from backtrans.work import Address, Receipt


def addresses_text(addresses: Sequence[Address]) -> str:
    """Write addresses."""
    return json.dumps([asdict(address) for address in addresses])


def addresses_from(text: str) -> list[Address]:
    """Read addresses that `addresses_text` wrote."""
    return [Address(**fields) for fields in json.loads(text)]


def receipt_text(receipt: Receipt) -> str:
    """Write a receipt; its address by its key, since who handed that out has it."""
    return json.dumps(asdict(receipt) | {"address": receipt.address.key})


def receipt_from(text: str, addresses: Mapping[str, Address]) -> Receipt:
    """Read a receipt that `receipt_text` wrote, of one of these addresses by their keys."""
    fields: dict[str, Any] = json.loads(text)
    address = addresses[fields["address"]]
    commits = tuple(_commit(commit, address) for commit in fields["commits"])
    return Receipt(**fields | {"address": address, "commits": commits})


def _commit(fields: dict[str, Any], address: Address) -> Commit:
    counts, usage = Counts(**fields["counts"]), Usage(**fields["usage"])
    commit = Commit(**fields | {"counts": counts, "usage": usage})
    if commit.shard != address.shard:  # an object's commits are of its shards
        return commit
    # A driver remembers the shards that are committed: by the words that it has already.
    return replace(commit, shard=address.shard, object=address.object)
