"""The lake table: the latest snapshot as a Delta table, one transaction a refresh."""
