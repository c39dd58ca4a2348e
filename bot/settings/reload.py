"""Takes a new configuration while the bot runs, and keeps the old one when the new one is wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import structlog

from bot.configurable import Section
from bot.core.clock import Clock
from bot.settings.load import Loaded, load_settings
from bot.settings.problems import ConfigurationError, KeyPath, Problem, written_key
from bot.settings.secret_files import fingerprint_of
from bot.settings.shape import keys_of
from bot.settings.tree import Settings
from bot.telemetry.metrics import CONFIG_RELOAD_SUCCESS_TIMESTAMP, CONFIG_RELOAD_SUCCESSFUL

POLL_EVERY = timedelta(seconds=5)

log = structlog.get_logger(__name__)

Apply = Callable[[Settings], Awaitable[None]]
"""Swaps what can be swapped; is given settings that are valid."""
Notify = Callable[[tuple[Problem, ...]], Awaitable[None]]
"""Tells people what is wrong with the new configuration, or what of it waits for a restart."""


class ConfigWatcher:
    """Notices that the configuration, or a secret's file, has another content.

    The content counts, not the time of the file: a mounted ConfigMap swaps a
    symlink in a folder, and its files keep their names.
    """

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str],
        loaded: Loaded,
        *,
        apply: Apply,
        notify: Notify,
        clock: Clock,
    ) -> None:
        """Start from what was loaded."""
        self._path = path
        self._environ = environ
        self._apply = apply
        self._notify = notify
        self._clock = clock
        self._started_with = loaded.settings
        self._settings = loaded.settings
        self._files = loaded.files
        self._fingerprint = loaded.fingerprint
        self._count_success()

    @property
    def settings(self) -> Settings:
        """The configuration that counts now."""
        return self._settings

    async def step(self) -> timedelta:
        """Reload if anything changed; a configuration that is wrong is tried again when it changes again."""
        if await asyncio.to_thread(fingerprint_of, self._files) != self._fingerprint:
            await self.reload()
        return POLL_EVERY

    async def reload(self) -> bool:
        """Load now, as SIGHUP asks; returns whether the configuration was taken."""
        try:
            loaded = await asyncio.to_thread(load_settings, self._path, self._environ)
        except ConfigurationError as error:
            self._files, self._fingerprint = error.files, error.fingerprint
            CONFIG_RELOAD_SUCCESSFUL.set(0)
            log.error("configuration_refused", problems=[asdict(problem) for problem in error.problems])  # noqa: TRY400 (no bug: a traceback would hide what is wrong)
            await self._notify(error.problems)
            return False
        await self._take(loaded)
        return True

    async def _take(self, loaded: Loaded) -> None:
        changed = changed_keys(self._settings, loaded.settings)
        waiting = changed_keys(self._started_with, loaded.settings, only_restart=True)
        await self._apply(loaded.settings)
        self._settings = loaded.settings
        self._files, self._fingerprint = loaded.files, loaded.fingerprint
        self._count_success()
        log.info("configuration_taken", changed=changed, needs_restart=waiting)
        news = tuple(key for key in waiting if key in changed)
        if news:
            await self._notify(tuple(self._waits(key) for key in news))

    def _waits(self, key: str) -> Problem:
        return Problem(file=str(self._path), key=key, expected="changed; it takes effect after a restart")

    def _count_success(self) -> None:
        CONFIG_RELOAD_SUCCESSFUL.set(1)
        CONFIG_RELOAD_SUCCESS_TIMESTAMP.set(self._clock.now().timestamp())


def changed_keys(before: Settings, after: Settings, *, only_restart: bool = False) -> tuple[str, ...]:
    """Return the keys whose values differ, as people write them."""
    return tuple(_changed(before, after, (), only_restart=only_restart))


def _changed(before: Section, after: Section, path: KeyPath, *, only_restart: bool) -> Iterator[str]:
    for key in keys_of(type(before)).values():
        old, new = getattr(before, key.attribute), getattr(after, key.attribute)
        if old == new:
            continue
        here = (*path, key.name)
        if isinstance(old, Section) and isinstance(new, Section):
            yield from _changed(old, new, here, only_restart=only_restart and not key.needs_restart)
        elif key.needs_restart or key.needs_restart_to_appear or not only_restart:
            yield written_key(here)
