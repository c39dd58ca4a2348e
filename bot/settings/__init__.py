"""The configuration tree: load, check, explain, schema."""
