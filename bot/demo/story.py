"""A believable morning: what happened before one came, told in a second, and what happens while one looks."""

import asyncio
import re
from contextlib import suppress
from datetime import timedelta

from bot.demo.alertmanager import AlertGroup, Alertmanager
from bot.demo.applications import Applications
from bot.demo.clock import LateClock
from bot.demo.stage import Stage
from bot.demo.world import World

_SHOWN_WITHIN_SECONDS = 5
_LOOK_EVERY_SECONDS = 0.02
_ADA_WAITS_SECONDS = 180
"""How long whoever looks has to repair the checkout."""
_GROUP_WAIT = timedelta(seconds=40)
"""How long Alertmanager waits for more of a group before it tells."""


class Morning:
    """Plays Alertmanager and colleagues. An incident is one message, and so is a story of an Application."""

    def __init__(
        self,
        world: World,
        stage: Stage,
        clock: LateClock,
        alertmanager: Alertmanager,
        applications: Applications,
    ) -> None:
        """Take the simulated Discord, the clock to move, whom to tell of alerts, and what is deployed."""
        self._world = world
        self._stage = stage
        self._clock = clock
        self._alertmanager = alertmanager
        self._applications = applications
        self._disk = AlertGroup("NodeDiskFillingUp", summary="/var on node-2 is full in about 4 hours")
        self._crashes = AlertGroup(
            "KubePodCrashLooping",
            summary="Pods of checkout restart again and again",
            description="back-off 5m0s restarting failed container=api",
        )

    async def tell_what_was(self) -> None:
        """Tell of the last hour, and catch up with the present."""
        targets = AlertGroup("TargetDown", summary="Prometheus cannot reach 2 targets of node-exporter")
        await self._go_back(minutes=52)
        for node in ("node-2:9100", "node-3:9100"):
            self._fire(
                targets, severity="warning", namespace="monitoring", job="node-exporter", instance=node
            )
        await self._post(targets, "WARNING")
        await self._go_back(minutes=50)
        await self._acknowledge(targets)
        await self._go_back(minutes=38)
        self._fire(
            self._disk, severity="warning", instance="node-2:9100", device="/dev/sda3", mountpoint="/var"
        )
        await self._post(self._disk, "WARNING")
        await self._applications.until_watched()
        await self._go_back(minutes=33)
        await self._acknowledge(self._disk, note="cleaning old images")
        await self._go_back(minutes=12)
        self._applications.deploy_a_leak()
        await self._post(targets.resolve(self._clock.now()), "RESOLVED")
        await self._go_back(minutes=10)
        self._applications.commit_the_repair()
        await self._until_said("DEGRADED · checkout")
        await self._go_back(minutes=9)
        self._applications.deploy_to_api("5.1.0", "Count what is in the cart")
        self._crash("checkout-7d9f5b6c4-x2x9k", severity="warning")
        await self._post(self._crashes, "WARNING")
        await self._go_back(minutes=0)

    async def tell_what_is(self) -> None:
        """Tell what goes on, at a pace that can be watched; after some minutes little is left open."""
        async with asyncio.TaskGroup() as stories:
            stories.create_task(self._tell_of_crashes(), name="crashes")
            stories.create_task(self._tell_of_the_rest(), name="the rest")

    async def _tell_of_crashes(self) -> None:
        """Get worse until the checkout is repaired: by whoever looks, or by Ada in the end."""
        await asyncio.sleep(3)
        self._crash("checkout-7d9f5b6c4-zq4ld", severity="warning")
        await self._post(self._crashes, "2 alerts")
        await asyncio.sleep(10)
        self._crash("checkout-7d9f5b6c4-m8hvt", severity="critical")
        await self._post(self._crashes, "CRITICAL")
        with suppress(TimeoutError):
            async with asyncio.timeout(_ADA_WAITS_SECONDS):
                await self._until_repaired()
        self._applications.deploy_the_repair()
        await self._until_repaired()
        await self._post(self._crashes.resolve(self._clock.now()), "RESOLVED")

    async def _until_repaired(self) -> None:
        while not self._applications.is_repaired:  # noqa: ASYNC110 (the cluster tells nobody)
            await asyncio.sleep(1)

    async def _tell_of_the_rest(self) -> None:
        await asyncio.sleep(8)
        errors = AlertGroup("HighErrorRate", summary="6 % of the requests to api fail")
        self._fire(errors, severity="warning", namespace="shop", deployment="api")
        await self._post(errors, "WARNING")
        await asyncio.sleep(11)
        await self._acknowledge(errors)
        await asyncio.sleep(4)
        self._applications.commit_to_api("5.1.1", "Count without a lock")
        await asyncio.sleep(16)
        await self._post(errors.resolve(self._clock.now()), "RESOLVED")
        await asyncio.sleep(10)
        certificate = AlertGroup(
            "CertificateExpiresSoon", summary="The certificate of shop.example.org ends in 13 days"
        )
        self._fire(certificate, severity="info", namespace="shop", name="shop-tls")
        await self._post(certificate, "INFO")
        await asyncio.sleep(120)
        await self._post(self._disk.resolve(self._clock.now()), "RESOLVED")

    def _fire(self, group: AlertGroup, **labels: str) -> None:
        group.fire(self._clock.now() - _GROUP_WAIT, cluster="home", **labels)

    def _crash(self, pod: str, severity: str) -> None:
        self._fire(self._crashes, severity=severity, namespace="prod", pod=pod, container="api")

    async def _go_back(self, *, minutes: float) -> None:
        """Be at a moment before the present; moments come in order."""
        self._clock.move_to(timedelta(minutes=minutes))
        await self._stage.follow_clock()

    async def _post(self, group: AlertGroup, shown: str) -> None:
        """Tell of a group, and wait until its card shows it."""
        await self._alertmanager.post(group)
        await self._until_shown(group, shown)

    async def _until_shown(self, group: AlertGroup, shown: str) -> None:
        await self._until_said(f"· {group.name}", shown)

    async def _until_said(self, *texts: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SHOWN_WITHIN_SECONDS):
                while self._stage.find_message(self._world.channel, *texts) is None:  # noqa: ASYNC110 (SimCord tells nobody)
                    await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def _acknowledge(self, group: AlertGroup, note: str = "") -> None:
        """Have Sam take an incident on, unless somebody was faster."""
        card = self._stage.find_message(self._world.channel, f"· {group.name}", "tm:ack:")
        number = re.search(r"tm:ack:(\d+)", card or "")
        if number is None:
            return
        options = {"incidents": number[1], "note": note} if note else {"incidents": number[1]}
        with suppress(TimeoutError):
            async with self._stage.turn:
                await self._world.sam.slash(self._world.channel, "alerts ack", **options)
        await self._until_shown(group, "Acknowledged by")
