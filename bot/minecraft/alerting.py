"""A server that is down is an alert like any other: routed, acknowledged, escalated, closed when back."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from bot.alerts.intake import Intake
from bot.alerts.model.alert import Alert, AlertStatus
from bot.alerts.model.notification import OURSELVES, Notification, labels_key
from bot.database.engine import Transaction
from bot.minecraft.model import Alarm, Server, Standing

RECEIVER: Final = "minecraft"
"""What routes see as `__receiver__`."""
ALERT: Final = "MinecraftServerDown"


class Alarms:
    """Opens and closes the incidents of servers."""

    def __init__(self, intake: Intake, severity: Callable[[], str]) -> None:
        """Take where alerts come in, and the severity of the moment."""
        self._intake = intake
        self._severity = severity

    async def tell(
        self, tx: Transaction, standing: Standing, todo: Alarm, *, server: Server | None, now: datetime
    ) -> None:
        """Have an incident opened or closed, in the transaction that writes down how the server stands."""
        told = notification_of(standing, todo, server=server, severity=self._severity(), now=now)
        await self._intake.report(tx, told)


def notification_of(
    standing: Standing, todo: Alarm, *, server: Server | None, severity: str, now: datetime
) -> Notification:
    """Return what is told of a server, as Alertmanager would tell it."""
    group = {"alertname": ALERT, "server": standing.server}
    labels = {**group, "severity": severity}
    if server is not None:
        labels["edition"] = server.edition.value
        if server.namespace:
            labels["namespace"] = server.namespace
    starts_at = standing.down_since or standing.since
    annotations = {
        "summary": f"{standing.server} is {standing.condition.value}",
        "description": _description(standing, server),
    }
    alert = Alert(
        fingerprint=labels_key(group)[:16],
        status=AlertStatus.FIRING if todo is Alarm.OPEN else AlertStatus.RESOLVED,
        labels=labels,
        annotations=annotations,
        starts_at=starts_at,
        ends_at=None if todo is Alarm.OPEN else now,
    )
    return Notification(
        source=OURSELVES,
        receiver=RECEIVER,
        group_key=f"minecraft:{standing.server}",
        group_labels=group,
        common_labels=labels,
        common_annotations=annotations,
        external_url="",
        truncated=0,
        reason=None,
        route_labels={},
        alerts=(alert,),
    )


def _description(standing: Standing, server: Server | None) -> str:
    """Say why, and where; not for how long, for that stands on the card and goes on."""
    if standing.is_up or standing.trouble is None:
        return ""
    where = f" It is asked at {server.address}." if server is not None else ""
    return f"{standing.trouble.sentence}{where}"
