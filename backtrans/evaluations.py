"""The evaluation sets that a recipe names: which files they are, and their index in a process.

Promises: an index is built once a process, whoever asks for it; a set that cannot be read whole
stops the run before any work, since a row that nobody looks for is a hole that nobody sees.

Does not know: what is looked for in which texts.
"""

from dataclasses import dataclass
from functools import lru_cache

from backtrans.corpus.contamination import MIN_WORDS, N_WORDS, NGrams
from backtrans.corpus.evaluation import read_evaluation
from backtrans.corpus.words import VERSION
from backtrans.errors import ConfigError
from backtrans.ledger import fingerprint
from backtrans.store import StoreSettings, content_fingerprint, list_inputs, open_input


@dataclass(frozen=True, slots=True)
class EvaluationFile:
    """A set: its name, its file, and the fields that hold its texts; all fields where none."""

    name: str
    path: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The sets, and how long a run of the same words makes a text theirs."""

    store: StoreSettings  # by which the files are opened
    files: tuple[EvaluationFile, ...] = ()
    n_words: int = N_WORDS
    min_words: int = MIN_WORDS

    def fingerprint(self) -> str:
        """Name what is looked for, by content. Raises: ConfigError, InputError."""
        contents = []
        for file in self.files:
            infos = list_inputs([file.path], self.store)
            if len(infos) != 1:
                raise ConfigError(f"{file.path}: {len(infos)} files; an evaluation set is one")
            contents.append([file.name, content_fingerprint(infos[0], self.store), file.fields])
        lengths = [self.n_words, self.min_words]
        return fingerprint(VERSION, contents, lengths) if contents else ""


@lru_cache(maxsize=1)
def index(settings: EvaluationSettings) -> NGrams | None:
    """Return the index of the sets, or None where there are none. Raises: InputError."""
    if not settings.files:
        return None
    sets = []
    for file in settings.files:
        with open_input(file.path, settings.store) as opened:
            sets.append(read_evaluation(opened, file.path, file.name, file.fields))
    return NGrams.of(sets, settings.n_words, settings.min_words)
