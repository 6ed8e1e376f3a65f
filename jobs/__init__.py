"""Thin entry points for `ray job submit`."""
