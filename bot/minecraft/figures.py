"""What Prometheus is told of servers, under the names of mc-monitor, so that its dashboards work."""

from collections.abc import Iterator

from prometheus_client import Gauge

from bot.minecraft.model import Answer, Outcome, Server, Standing
from bot.telemetry.metrics import (
    MINECRAFT_HEALTHY,
    MINECRAFT_INFO,
    MINECRAFT_MOST,
    MINECRAFT_PINGS,
    MINECRAFT_PLAYERS,
    MINECRAFT_SECONDS,
)

_versions: dict[str, tuple[str, ...]] = {}
"""The labels under which each server's version is told now."""


def show_figures(server: Server, outcome: Outcome, standing: Standing) -> None:
    """Tell what a ping brought."""
    MINECRAFT_PINGS.labels("answered" if isinstance(outcome, Answer) else outcome.value).inc()
    labels = _labels(server)
    MINECRAFT_HEALTHY.labels(*labels).set(standing.is_up)
    answer = standing.answer
    if answer is None:
        MINECRAFT_PLAYERS.labels(*labels).set(0)
        _show_version(server, None)
        return
    MINECRAFT_SECONDS.labels(*labels).set(answer.latency.total_seconds())
    MINECRAFT_PLAYERS.labels(*labels).set(answer.online)
    MINECRAFT_MOST.labels(*labels).set(answer.most)
    _show_version(server, answer.version)


def forget_figures(server: Server) -> None:
    """Tell nothing more of a server that is not watched any more."""
    for gauge in _gauges():
        _remove(gauge, _labels(server))
    _show_version(server, None)


def _show_version(server: Server, version: str | None) -> None:
    wanted = (*_labels(server), version, server.name) if version is not None else None
    known = _versions.get(server.name)
    if known == wanted:
        return
    if known is not None:
        _remove(MINECRAFT_INFO, known)
        del _versions[server.name]
    if wanted is not None:
        MINECRAFT_INFO.labels(*wanted).set(1)
        _versions[server.name] = wanted


def _labels(server: Server) -> tuple[str, str, str]:
    return server.address.host, str(server.port), server.edition.value


def _gauges() -> Iterator[Gauge]:
    yield from (MINECRAFT_HEALTHY, MINECRAFT_SECONDS, MINECRAFT_PLAYERS, MINECRAFT_MOST)


def _remove(gauge: Gauge, labels: tuple[str, ...]) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return  # It was never told.
