"""Notices: what operators should know of the bot itself, as cards in the audit channel."""
