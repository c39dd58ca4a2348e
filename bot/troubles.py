"""What operators are told about the bot's own troubles: the words, in one place.

Where it happens nothing may be awaited, so most of it waits in a queue for a loop
of its own.
"""

from collections.abc import Sequence

from bot.alerts.inbox.model import DeliveryId, Kind, QuarantineReason
from bot.cards.model import Card
from bot.cards.notices.service import NoticeQueue, Notices
from bot.cards.threads.model import Thread
from bot.cards.threads.service import REFUSED_FOR
from bot.chat.text import code, escape
from bot.core.durations import spoken_duration
from bot.database.engine import Transaction

_PROBLEMS_SHOWN = 10


class Troubles:
    """Tells operators what is wrong and what to do."""

    def __init__(self, notices: Notices) -> None:
        """Take what shows it; the loop of the queue is the caller's to run."""
        self._notices = notices
        self.queue = NoticeQueue(notices)

    async def quarantined(self, tx: Transaction, number: DeliveryId, reason: QuarantineReason) -> None:
        """Tell of a delivery that could not be applied, in the transaction that puts it aside."""
        await self._notices.post(
            tx,
            f"quarantine:{reason.value}",
            "A delivery could not be applied",
            f"{reason.sentence}\nIt is kept as delivery **{number}**. Look at it with "
            f"`machine inbox show {number}`; after a remedy, `machine inbox retry {number}`.",
        )

    def unknown_source(self, kind: Kind, source: str) -> None:
        """Tell of somebody who posts alerts and is not configured."""
        self.queue.put(
            f"source:{kind.value}:{source}",
            "Alerts come from an unknown source",
            f"{code(source)} posts to `/webhooks/{kind.value}`, but `alertmanagers` names no such source "
            f"of kind {kind.value}. "
            "Its alerts are accepted. Correct the address in its receiver, or add it to the configuration.",
        )

    def too_large(self, path: str, limit: int) -> None:
        """Tell of a body of more than `limit` bytes."""
        self.queue.put(
            "too-large",
            "A delivery was refused for its size",
            f"Something larger than {limit // 2**20} MiB was posted to {code(path)}. Alertmanager does not "
            "get past this by itself: raise `web.max_body_mib`, or set `max_alerts` in its receiver.",
        )

    def card_refused(self, card: Card, why: str, moved_to: int | None) -> None:
        """Tell of a card that Discord does not take where it belongs."""
        what = f"The card {code(f'{card.kind} {card.key}')} belongs into <#{card.channel_id}>."
        then = "It is shown here instead." if moved_to is not None else "It is tried again later."
        self.queue.put(f"refused:{card.channel_id}", "Discord refused a card", f"{why}\n{what} {then}")

    def thread_refused(self, thread: Thread, why: str) -> None:
        """Tell of a thread that Discord does not let us start."""
        self.queue.put(
            f"thread:{thread.channel_id}",
            "A card has no thread",
            f"{why}\nThe route into <#{thread.channel_id}> asks for threads. Its cards are shown without. "
            "Grant the bot *Create Public Threads* and *Send Messages in Threads* there, or take `thread` "
            f"out of the route; it is tried again every {spoken_duration(REFUSED_FOR)} or so.",
        )

    async def configuration(self, problems: Sequence[object]) -> None:
        """Tell of a changed configuration that was not taken, or not as a whole."""
        shown = "\n".join(f"- {escape(str(problem))}" for problem in problems[:_PROBLEMS_SHOWN])
        more = len(problems) - _PROBLEMS_SHOWN
        self.queue.put(
            "configuration",
            "The changed configuration needs a look",
            shown + (f"\nand {more} more" if more > 0 else ""),
        )
