"""Every exception that the package raises, one line each.

A bad *row* is never an exception: it is a `records.Reject`. What is raised here concerns a shard
(retried, then quarantined by the runtime) or the run (which stops).
"""


class BacktransError(Exception):
    """The base of all of them; its message names the file, key, row or setting at fault."""


class ConfigError(BacktransError):
    """The configuration is wrong: the run does not start."""


class InputError(BacktransError):
    """An input object is missing, or cannot be read as what the recipe says that it is."""


class StoreError(BacktransError):
    """The store refused or failed an operation; the message names the key."""


class KeyMissing(StoreError):
    """The store holds no object under that key."""


class PartUnreadable(StoreError):
    """An object that should hold rows is there, and holds none that can be read."""


class CredentialsRefused(StoreError):
    """The store does not take the credentials, or no longer: the run stops."""


class AccountingError(BacktransError):
    """Rows in are not rows kept plus rows rejected: the part is not committed."""


class DialogueBroken(BacktransError):
    """A role or an engine broke the terms of a dialogue: this attempt at the shard fails."""


class ModelError(BacktransError):
    """A model or adapter folder is missing, unreadable or not what it must be."""


class EngineDead(BacktransError):
    """The engine no longer answers: its worker must end, and another open a new one."""


class TrainingDiverged(BacktransError):
    """A training's loss or gradient is no finite number: its last good checkpoint stays."""


class TrainingFailed(BacktransError):
    """A training ended without a model; its last checkpoint stays, and a later one goes on."""


class BudgetSpent(BacktransError):
    """What a run may cost is spent; what was committed stays, and a later run goes on."""


class RunIncomplete(BacktransError):
    """Fewer shards than `min_complete` were committed; what was committed stays."""


def plain(error: Exception) -> str:
    """Return what failed in the system's words, without the number and the path beside them."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
