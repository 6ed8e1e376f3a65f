"""What is refused before anything is sent to Ray: unsafe variables, clusters that are open to all.

Does not know: Ray. Reads no environment variable: who starts a run hands them over.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from backtrans.errors import ConfigError
from backtrans.work import RuntimeSettings

UNSAFE_VARIABLES = (
    "RAY_DATA_AUTOLOAD_PICKLE_OBJECT_SCALAR",
    "RAY_DATA_ARROW_EXTENSION_SERIALIZATION_CLOUDPICKLE",
    "RAY_DATA_WEBDATASET_ALLOW_UNSAFE_DESERIALIZATION",
)
"""Source: CVE-2026-41486: each lets an input file run code when its schema is parsed."""


def check_environment(variables: Mapping[str, str]) -> None:
    """Refuse variables that let Ray Data unpickle what input files hold. Raises: ConfigError."""
    if found := [name for name in UNSAFE_VARIABLES if name in variables]:
        raise ConfigError(f"unset {', '.join(found)}: with it an input file can run code")


def check_address(settings: RuntimeSettings) -> None:
    """Refuse a cluster that others can reach and that asks for no token. Raises: ConfigError."""
    address = settings.ray_address
    if address is None or settings.ray_auth_token or is_loopback(address):
        return
    raise ConfigError(
        f"ray_address {address!r} is no loopback address, and Ray runs what anyone who reaches it"
        " sends: start the cluster and this run with RAY_AUTH_MODE=token"
    )


def is_loopback(address: str) -> bool:
    """Say whether an address leads to this machine only."""
    if address == "local":
        return True
    host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
