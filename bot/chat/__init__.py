"""Our side of discord.py: the client and its supervision, messages, actions, text safety. Knows no alert."""
