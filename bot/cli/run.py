"""`machine run`: the bot itself, until SIGTERM or SIGINT; SIGHUP reloads the configuration."""

import asyncio
import os
import signal
from argparse import ArgumentParser, Namespace

from prometheus_client import PlatformCollector, ProcessCollector

from bot.app import App
from bot.cli.configuration import add_config_argument, load_configuration
from bot.core.garbage import collect_rarely
from bot.settings.load import default_file
from bot.telemetry.exporting import exporting
from bot.telemetry.logs import configure_logging
from bot.telemetry.metrics import REGISTRY


def add_arguments(parser: ArgumentParser) -> None:
    """Take the configuration's file."""
    add_config_argument(parser)


def run(arguments: Namespace) -> int:
    """Run until told to stop."""
    loaded = load_configuration(arguments)
    log = loaded.settings.log
    configure_logging(log.level, json=log.format == "json", trace_key=log.trace_key)
    ProcessCollector(registry=REGISTRY)
    PlatformCollector(registry=REGISTRY)
    # What was imported stays for good.
    collect_rarely()
    with exporting(os.environ):
        asyncio.run(_run(App(loaded, arguments.config or default_file(os.environ), os.environ)))
    return 0


async def _run(app: App) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(app.reload(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await app.run(stop)
