"""The key of an endpoint, from the environment variable that its settings name.

The one place below the entry points that reads the environment: a worker's process has the key, and
what travels to it has the name alone. The S3 client looks its credentials up in the same way.

Does not know: endpoints, what the key opens.
"""

import os

from backtrans.errors import ConfigError

NO_KEY = "no-key"
"""What is sent where no key is named: the client sends something."""


def api_key(variable: str | None) -> str:
    """Return the key. Raises: ConfigError where the variable is not set in this process."""
    if variable is None:
        return NO_KEY
    if not (key := os.environ.get(variable, "").strip()):
        raise ConfigError(
            f"api_key_env: {variable} is not set in this process: export it where the run starts"
            " (and, on a cluster of others, on its machines)"
        )
    return key
