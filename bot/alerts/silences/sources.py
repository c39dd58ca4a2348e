"""What cards show of silences: a read, then the pure card."""

from bot.alerts.model.incident import Incident
from bot.alerts.peers.model import SilenceState
from bot.alerts.silences import store
from bot.alerts.silences.card import render_event, silence_key, silenced_lines
from bot.alerts.silences.model import Event, Moment
from bot.chat.action import custom_id
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.database.engine import Database, Transaction


async def read_silenced(tx: Transaction, incident: Incident) -> tuple[str, ...]:
    """Return the lines that say why an incident is quiet."""
    muting = incident.muting
    if muting is None or not incident.is_open:
        return ()
    known = await store.list_by_ids(tx, incident.source, muting.silences)
    causes = await store.list_names(tx, incident.source, muting.inhibitors)
    return tuple(silenced_lines(muting, {each.silence.id: each.silence for each in known}, causes))


class SilenceEndCards:
    """Renders that a silence is about to end; what was extended, ended or is over needs no such message."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take the database."""
        self._database = database
        self._clock = clock

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render the news about the silence of this id."""
        del channel_id
        async with self._database.reading() as tx:
            found = await store.find_by_id(tx, key)
        now = self._clock.now()
        for kept in found:
            silence, name = kept.silence, silence_key(key)
            lasts = silence.state is not SilenceState.EXPIRED and silence.ends_at > now
            if lasts and kept.known.end_is_told:
                view = render_event(Event(Moment.ENDS_SOON, silence), source=kept.source, key=name)
                return Rendered(view=view, marker=custom_id("silence-extend", name))
        return None
