"""Joins a Ray cluster that is there already, or says in a sentence why not.

Promises: an address at which nothing answers is refused at once, with the place where Ray looked,
which is not always the one that was written.

Does not know: what will be done on the cluster, or whether it should be trusted.
"""

import socket
from typing import Any
from urllib.parse import urlsplit

from backtrans.errors import ConfigError

ANSWER_SECONDS = 10.0
"""How long a head may take to answer. Source: this project's choice."""

REWRITTEN = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that Ray takes for the address at which others reach it. Source: Ray 2.60,
`resolve_ip_for_localhost`; another of the loopback, as 127.0.0.2, it leaves alone."""


def join(address: str, **how: Any) -> None:
    """Have this process join a cluster. Raises: ConfigError where there is none at the address."""
    import ray

    try:
        written = urlsplit(f"//{address}")
        host, port = written.hostname, written.port
    except ValueError as error:
        raise ConfigError(f"ray_address {address!r}: {error}") from error
    if host and port and "://" not in address:
        looked = ray.util.get_node_ip_address() if host in REWRITTEN else host
        _check(address, host, looked, port)
    try:
        ray.init(address=address, **how)
    except ConnectionError as error:
        raise ConfigError(f"ray_address {address}: {error}") from error


def _check(address: str, host: str, looked: str, port: int) -> None:
    try:
        socket.create_connection((looked, port), ANSWER_SECONDS).close()
    except OSError as error:
        said = f"ray_address {address}: no head answers at {looked}:{port}: {error}"
        if looked != host:
            said += (
                f". Ray takes {host} for the address by which others reach this machine. One that"
                " nobody else reaches has another address of the loopback: `ray start --head"
                f" --node-ip-address=127.0.0.2 --port={port}` and ray_address: 127.0.0.2:{port}"
            )
        raise ConfigError(said) from error
