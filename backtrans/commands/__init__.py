"""The commands, by what people ask for; `cli` puts them together, with their exit codes."""
