"""Running models that answer requests; they know nothing of roles, rows or shards."""
