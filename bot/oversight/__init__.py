"""What operators ask of the bot itself: who did what, who may do what, what is connected.

Leaves deciding to `bot.access`, the record to `bot.journal` and what to tell unasked to `bot.cards.notices`.
"""
