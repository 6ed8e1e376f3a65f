"""The stages' work: each reads parts, and puts and commits parts of its own. None knows another."""
