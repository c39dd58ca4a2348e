"""Sync windows, as the controller itself minds them on every pass."""

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from bot.core.durations import parse_duration
from bot.core.errors import InvalidError
from bot.demo.cluster.failures import Json


def sync_is_blocked(windows: Sequence[Json], app: Json, *, manual: bool, now: datetime) -> bool:
    """Say whether the windows of a project keep a sync of an Application from running now."""
    matching = [window for window in windows if _matches(window, app)]
    if not matching:
        return False
    try:
        active = [window for window in matching if _is_active(window, now)]
    except (CronSimError, InvalidError):
        return True
    denies = [window for window in active if window.get("kind") == "deny"]
    if denies:
        return not (manual and _all_manual(denies))
    allows = [window for window in matching if window.get("kind") == "allow"]
    if not allows or any(window in active for window in allows):
        return False
    return not (manual and _all_manual(allows))


def _all_manual(windows: Sequence[Json]) -> bool:
    return all(window.get("manualSync") for window in windows)


def _matches(window: Json, app: Json) -> bool:
    destination = app["spec"]["destination"]
    clusters = [destination.get("name", ""), destination.get("server", "")]
    answers = [
        any(fnmatchcase(value, pattern) for value in values for pattern in patterns)
        for values, patterns in (
            ([app["metadata"]["name"]], window.get("applications")),
            ([destination.get("namespace", "")], window.get("namespaces")),
            (clusters, window.get("clusters")),
        )
        if patterns
    ]
    return bool(answers) and (all(answers) if window.get("andOperator") else any(answers))


def _is_active(window: Json, now: datetime) -> bool:
    """Say whether a window opened less than its duration ago, by the wall clock of its zone."""
    try:
        zone = ZoneInfo(window.get("timeZone") or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    there = now.astimezone(zone).replace(tzinfo=None)
    opening = next(CronSim(window["schedule"], there - parse_duration(window["duration"])), None)
    return opening is not None and opening < there
