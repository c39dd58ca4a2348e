"""The kinds of cards that this room has."""

INCIDENT = "incident"
PING = "ping"
DIGEST = "digest"
"""A page of incidents that share a message in a storm."""
CALL = "storm-call"
"""What calls for people in a storm, once for many incidents."""
