"""Storms: when a channel cannot take a message an incident, incidents share messages.

Decides when a storm begins and ends, who is on a digest instead of a card, and who is
called when. Leaves to `bot.cards` what fits through a channel, and to `bot.alerts` what
an incident is.
"""
