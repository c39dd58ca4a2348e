"""The machine command."""
