"""Live messages: which should exist, at which version, and the courier that makes Discord agree."""
