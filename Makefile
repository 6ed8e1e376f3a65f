# Everything runs in .venv, which `make install` makes from the lock. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
# What there is: jobs/ and scripts/ are checked like the package.
SOURCES := $(wildcard backtrans jobs tests scripts bench)

# vLLM, torch and transformers are some 5,000 modules: without their .pyc files each process compiles
# them anew, which costs it seconds. The install does not compile; the first import of each does.
unexport PYTHONDONTWRITEBYTECODE
export RAY_USAGE_STATS_ENABLED := 0
export VLLM_NO_USAGE_STATS := 1
export HF_HUB_DISABLE_TELEMETRY := 1

# The tests write thousands of small files, each of which is to be on its disk before they go on. In
# memory they wait for no disk; on one they would wait as long as they work. The fast ones have no
# more than 5 MB there at once. The others have models and what libraries compile, too: for these
# memory must have room, and run programs.
DISK := $(firstword $(TMPDIR) /tmp)
MEMORY := $(firstword $(shell [ -w /dev/shm ] && echo /dev/shm) $(DISK))
ROOMY := $(firstword $(shell [ -w /dev/shm ] && ! grep -q '/dev/shm .*noexec' /proc/mounts \
	&& df --output=avail -k /dev/shm | awk '$$1 > 8 * 2^20 { print "/dev/shm" }') $(DISK))

.PHONY: help install rgw chromium demo check test explore chaos bench truth format base tree reference lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install:  ## make .venv from the lock; nothing to do when it is up to date
	@scripts/install.sh

rgw:  ## unpack Ceph's S3 gateway for the tests, where this system's packages hold it
	@scripts/fetch_rgw.sh

chromium:  ## unpack Chromium for the report's tests, where this system's packages hold it
	@scripts/fetch_chromium.sh

demo: install  ## the whole method, on a micro-world with known truth
	$(BIN)/backtrans demo
	@echo "backtrans stands in .venv/bin: source .venv/bin/activate"

check: install  ## lint, types, import law, lock, and the fast tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy backtrans $(wildcard jobs)
	$(BIN)/lint-imports
	$(BIN)/python scripts/lock.py check
	TMPDIR=$(MEMORY) $(BIN)/pytest -m 'not slow and not chaos and not gpu'

test: install rgw chromium  ## the whole test suite, but for chaos and benchmarks
	TMPDIR=$(ROOMY) RAY_TMPDIR=$(DISK) $(BIN)/pytest -m 'not chaos'

explore: install  ## look for counterexamples to the properties, other ones each time
	$(BIN)/pytest -m hypothesis --hypothesis-profile=explore

chaos: install rgw  ## kill processes at every step and at random, and look for lost or doubled rows
	$(BIN)/pytest -m chaos

bench: install  ## measure it all anew, and write the figures into the book (docs/benchmarks.md)
	$(BIN)/python -m bench.reading --record
	$(BIN)/python -m bench.pages --record
	$(BIN)/python -m bench.filters --record
	$(BIN)/python -m bench.privacy --record
	$(BIN)/python -m bench.contamination --record
	$(BIN)/python -m bench.dedup --record
	$(BIN)/python -m bench.planning --record
	$(BIN)/python -m bench.dispatch --record
	$(BIN)/python -m bench.occupancy --record
	$(BIN)/python -m bench.refresh --record
	$(BIN)/python -m bench.training --record
	$(BIN)/python -m bench.shared_engine --record
	$(BIN)/python -m bench.throughput --record
	$(BIN)/python -m bench.calibration --record
	$(BIN)/python -m bench.audit --pairs 100 --record
	$(BIN)/python -m bench.judging --record
	$(BIN)/python -m bench.prefix --record
	$(BIN)/python -m bench.kept --record
	$(BIN)/python scripts/reference.py write

truth: install  ## two rounds in three worlds whose truth is known, with their controls (15 minutes)
	$(BIN)/python -m bench.truth --record
	$(BIN)/python scripts/reference.py write

format: install  ## put the sources in shape
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

base: install  ## train the micro-world's base model anew (an hour)
	$(BIN)/python -m backtrans.microworld.train_base --minutes 60 --threads 1

tree: install  ## put the tree of the code into the README
	$(BIN)/python scripts/tree.py write

reference: install  ## write the keys, commands and benchmarks of docs/ from the code
	$(BIN)/python scripts/reference.py write

lock: install  ## resolve the dependencies anew, then install them
	$(BIN)/python scripts/lock.py write
	@scripts/install.sh

clean:  ## remove what was made here, .venv too
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
