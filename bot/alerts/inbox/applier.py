"""Applying deliveries: in the order in which they came, each in a transaction of its own.

A delivery states what its whole group is, and the last one is right. So the
order is kept: one that fails is tried again at once and not after younger ones
of its group, which it would then overrule. It cannot hold the others up, because
its three tries take milliseconds; then it is quarantined and a person is told.
What only takes time, a database that does not answer, is no failure: nothing is
counted and the step is tried again later.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from bot.alerts.inbox import store
from bot.alerts.inbox.model import (
    FAILURES_ALLOWED,
    STARTS_ALLOWED,
    Delivery,
    DeliveryId,
    DeliveryState,
    QuarantineReason,
    UnreadableError,
)
from bot.core.clock import Clock
from bot.core.errors import InvalidError, LostLeadershipError, UnavailableError
from bot.core.loops import AT_ONCE, Bug, survive
from bot.database.engine import Database, Transaction
from bot.telemetry import tracing
from bot.telemetry.metrics import DELIVERIES_APPLIED, INBOX_PENDING

log = structlog.get_logger(__name__)

Handle = Callable[[Delivery], Awaitable[DeliveryState]]
"""Applies a delivery in one transaction, in which `store.mark` says what became of it; returns the same."""
Notice = Callable[[Transaction, DeliveryId, QuarantineReason], Awaitable[None]]
"""Tells people of a quarantined delivery, inside the transaction that puts it aside."""

_AT_ONE_TIME = 20


class Applier:
    """Takes deliveries out of the inbox; only one in the cluster, the leader's."""

    name = "applier"

    def __init__(self, database: Database, clock: Clock, *, handle: Handle, notice: Notice) -> None:
        """Take the leader's database."""
        self._database = database
        self._clock = clock
        self._handle = handle
        self._notice = notice
        self._unfair: list[DeliveryId] = []

    async def step(self) -> timedelta | None:
        """Apply the oldest pending deliveries; there may be more."""
        claimed = await self._claim()
        untried = [delivery.id for delivery in claimed]
        try:
            for delivery in claimed:
                await self._settle(delivery)
                untried.remove(delivery.id)
        except UnavailableError:
            # Their starts were counted, but the database is to blame: given back with the next claim.
            self._unfair = untried
            raise
        return AT_ONCE if claimed else None

    async def _claim(self) -> list[Delivery]:
        async with self._database.transaction() as tx:
            await store.give_back(tx, self._unfair)
            claimed = await store.claim_next(tx, limit=_AT_ONE_TIME)
            INBOX_PENDING.labels(queue="inbox").set(await store.count_pending(tx) if claimed else 0)
        self._unfair = []
        return claimed

    async def _settle(self, delivery: Delivery) -> None:
        if delivery.progress.starts > STARTS_ALLOWED:
            reason = QuarantineReason.NEVER_FINISHED
            await self._quarantine(delivery.id, reason, reason.sentence)
            return
        for failures in range(delivery.progress.failures + 1, FAILURES_ALLOWED + 1):
            error = await self._try(delivery)
            if error is None:
                return
            if failures == FAILURES_ALLOWED:
                await self._quarantine(delivery.id, QuarantineReason.FAILED_THREE_TIMES, error)
                return
            async with self._database.transaction() as tx:
                await store.begin_again(tx, delivery.id, error=error)

    async def _try(self, delivery: Delivery) -> str | None:
        """Apply it once; return why that failed by a fault of ours."""
        with (
            tracing.following(delivery.trace),
            tracing.span(
                "apply delivery", tracing.Kind.CONSUMER, delivery=delivery.id, source=delivery.source
            ) as s,
        ):
            error = await self._try_once(delivery, s)
            if error is not None:
                s.fail(error)
            return error

    async def _try_once(self, delivery: Delivery, span: tracing.Span) -> str | None:
        try:
            outcome = await survive(
                self._handle(delivery),
                name=self.name,
                but=(InvalidError, UnavailableError, LostLeadershipError),
                delivery=delivery.id,
            )
        except InvalidError as error:
            wrong = error.reason if isinstance(error, UnreadableError) else QuarantineReason.WRONG_TYPES
            await self._quarantine(delivery.id, wrong, str(error))
            return None
        if isinstance(outcome, Bug):
            return f"{outcome.kind}, reference {outcome.reference}"
        span.set(outcome=outcome.value)
        DELIVERIES_APPLIED.labels(result=outcome.value).inc()
        return None

    async def _quarantine(self, number: DeliveryId, reason: QuarantineReason, error: str) -> None:
        async with self._database.transaction() as tx:
            await store.mark(
                tx, number, DeliveryState.QUARANTINED, now=self._clock.now(), error=f"{reason}: {error}"
            )
            await self._notice(tx, number, reason)
        DELIVERIES_APPLIED.labels(result=DeliveryState.QUARANTINED.value).inc()
        log.warning("delivery_quarantined", delivery=number, reason=reason.value)
