"""Instruction backtranslation as a distributed job.

A shard is read, a role asks an engine, every row is kept or rejected with a reason, a part is put,
the ledger commits it. Start reading at `backtrans.pipeline`.
"""

__version__ = "0.1.0"
