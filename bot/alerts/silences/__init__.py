"""Silences: drafted from what an incident stores, judged before they are made, told of over their life."""
