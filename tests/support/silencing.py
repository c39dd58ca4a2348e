"""Silences over the rooms of an alert, with real Alertmanagers behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

import aiohttp

from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.alerts.silences.model import SilencePolicy
from bot.alerts.silences.service import Silences
from tests.support.alerting import Rooms
from tests.support.alerts import a_body, an_entry

GUILD = 555


@dataclass
class Silencing:
    """The service, and what it told operators."""

    rooms: Rooms
    session: aiohttp.ClientSession
    urls: Mapping[str, str | Sequence[str]]
    """Of a cluster those of all its peers."""
    policy: SilencePolicy = field(default_factory=SilencePolicy)
    zone: tzinfo = UTC
    audit: int | None = None
    told: list[tuple[str, str, str]] = field(default_factory=list)
    polls: int = 0

    def __post_init__(self) -> None:
        # Alertmanager knows the real time, and no silence that begins later or ended before counts.
        self.rooms.clock.advance(datetime.now(UTC) - self.rooms.clock.now())
        self.silences = Silences(
            self.rooms.database,
            self.rooms.access,
            self.rooms.showing,
            self.rooms.cards,
            clusters=self.clusters,
            clock=self.rooms.clock,
            policy=lambda: self.rooms.policy,
            silence_policy=lambda: self.policy,
            zone=lambda: self.zone,
            guild=lambda: GUILD,
            post=self._post,
            audit_channel=lambda: self.audit,
            wake_poller=self._wake,
        )

    def clusters(self) -> dict[str, AlertmanagerCluster]:
        return {name: self.cluster(name) for name in self.urls}

    def cluster(self, name: str = "main") -> AlertmanagerCluster:
        urls = self.urls[name]
        settings = AlertmanagerSettings.model_validate(
            {"name": name, "urls": [urls] if isinstance(urls, str) else urls, "timeout": "5s"}
        )
        return AlertmanagerCluster(settings, self.session, self.rooms.clock)

    async def look(self, source: str = "main") -> None:
        """Read the list of silences as the poller does."""
        taken_at = self.rooms.clock.now()
        listed = await self.cluster(source).list_silences()
        async with self.rooms.database.transaction() as tx:
            await self.silences.follow(tx, source, listed, taken_at=taken_at)

    async def _post(self, tx: Any, key: str, title: str, text: str) -> None:
        del tx
        self.told.append((key, title, text))

    def _wake(self) -> None:
        self.polls += 1


async def delivered(peer: Any, *, group: Mapping[str, str] | None = None) -> bytes:
    """Return the webhook body for what a real Alertmanager lists now, with its own fingerprints."""
    listed = await peer.alerts()
    entries = [
        {**an_entry(**_labels(each)), "fingerprint": each["fingerprint"], "labels": each["labels"]}
        for each in listed
        if all(each["labels"].get(name) == value for name, value in (group or {}).items())
    ]
    return a_body(*entries, group_labels=group)


def _labels(listed: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in listed["labels"].items() if name != "alertname"}
