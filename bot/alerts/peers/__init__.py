"""The Alertmanagers that send us alerts, asked over API v2: what they list, what they silence."""
