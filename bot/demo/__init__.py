"""The same app against a simulated Discord."""
