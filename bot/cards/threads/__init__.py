"""Threads: which cards carry one, what it is called, and whether it is in the archive."""
