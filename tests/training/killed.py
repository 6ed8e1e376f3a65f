"""A driver to be killed: trains the tiny model in a process of its own, which never ends.

python -m tests.training.killed BASE ROOT
"""

import sys

from backtrans.store import StoreSettings
from backtrans.training import launch
from backtrans.training.pairs import gathered
from backtrans.training.train import Base, train
from tests.training.teaching import PAIRS, SETTINGS, SPREAD

if __name__ == "__main__":
    base, root = sys.argv[1:]
    launch.WORKER = "tests.training.halting"
    train("backward", gathered(PAIRS), SETTINGS, Base(base), StoreSettings(root), spread=SPREAD)
