"""What follows when Alertmanager begins or ends to keep an incident quiet."""

from dataclasses import replace

from bot.alerts import store
from bot.alerts.model import Incident, Muting
from bot.alerts.showing import Showing
from bot.alerts.timeline.model import MUTED, UNMUTED
from bot.database.engine import Transaction


async def set_muting(tx: Transaction, showing: Showing, before: Incident, muting: Muting | None) -> Incident:
    """Store what keeps an incident quiet: its cards say so, and nobody is called for what is silenced."""
    after = replace(before, muting=muting)
    if after == before:
        return before
    await store.update_incident(tx, before, after)
    await showing.show(tx, after)
    if after.is_muted and not before.is_muted:
        await showing.fall_silent(tx, after)
        await showing.note(tx, after, MUTED)
    elif before.is_muted and not after.is_muted:
        if after.acknowledgement is None:
            await showing.remind_again(tx, after)
        await showing.note(tx, after, UNMUTED)
    return after
