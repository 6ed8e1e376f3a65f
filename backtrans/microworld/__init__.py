"""The embedded default: a generated corpus whose truth is known, and tiny models trained on it.

`world` draws pages with their latent instruction and quality, `corpus` writes them as Dolma shards,
`adapt` turns the shipped base into the two roles, `verdict` compares a run with the truth. The base
itself comes from `python -m backtrans.microworld.train_base`.
"""
