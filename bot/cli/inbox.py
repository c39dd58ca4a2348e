"""`machine inbox list|show|retry`."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace

from bot.alerts.inbox import store
from bot.alerts.inbox.model import Delivery, DeliveryId, DeliveryState, Progress
from bot.cli.configuration import add_config_argument, load_configuration
from bot.database.bells import Bell, ring
from bot.database.engine import Database

_ALL = "all"


def add_arguments(parser: ArgumentParser) -> None:
    """Take what to do, and with which deliveries."""
    tasks = parser.add_subparsers(dest="task", required=True, metavar="list|show|retry")
    listing = tasks.add_parser("list", help="list deliveries, newest first")
    states = [*(state.value for state in DeliveryState), _ALL]
    listing.add_argument(
        "--state",
        choices=states,
        default=DeliveryState.QUARANTINED.value,
        help="default: quarantined",
    )
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="default: 50")
    show = tasks.add_parser("show", help="show a delivery with its body")
    show.add_argument("id", type=int)
    show.add_argument("--raw", action="store_true", help="write the body alone, byte for byte")
    retry = tasks.add_parser("retry", help="have quarantined deliveries applied again")
    retry.add_argument("id", type=int, nargs="+")
    for task in (listing, show, retry):
        add_config_argument(task)


def run(arguments: Namespace) -> int:
    """Do it on the configured database; the bot may be running."""
    url = load_configuration(arguments).settings.database.url.get_secret_value()
    tasks = {"list": _list, "show": _show, "retry": _retry}
    asyncio.run(tasks[arguments.task](url, arguments))
    return 0


async def _list(url: str, arguments: Namespace) -> None:
    state = None if arguments.state == _ALL else DeliveryState(arguments.state)
    async with Database(url) as database, database.reading() as tx:
        listed = await store.list_deliveries(tx, state=state, limit=arguments.limit)
        counted = await store.count_by_state(tx)
    for progress in listed:
        print(_line(progress))
    print(", ".join(f"{number} {counted_state}" for counted_state, number in counted.items()))


def _line(progress: Progress) -> str:
    received = progress.received_at.isoformat(timespec="seconds")
    line = f"{progress.id:>8}  {received}  {progress.state:<11}  {progress.source}  {progress.size} bytes"
    return f"{line}  {progress.error}" if progress.error else line


async def _show(url: str, arguments: Namespace) -> None:
    async with Database(url) as database, database.reading() as tx:
        delivery = await store.get_delivery(tx, DeliveryId(arguments.id))
    if arguments.raw:
        sys.stdout.buffer.write(delivery.body)
        return
    for name, value in _facts(delivery.progress):
        print(f"{name + ':':<14}{printable(value)}")
    print()
    print(printable(_text(delivery)))


def _facts(progress: Progress) -> list[tuple[str, str]]:
    settled = progress.settled_at.isoformat(timespec="seconds") if progress.settled_at else "not yet"
    return [
        ("delivery", str(progress.id)),
        ("source", progress.source),
        ("received", progress.received_at.isoformat(timespec="seconds")),
        ("sender", progress.user_agent),
        ("content type", progress.content_type),
        ("state", progress.state.value),
        ("settled", settled),
        ("tried", f"{progress.starts} times, {progress.failures} of them failed"),
        ("error", progress.error or "none"),
    ]


def _text(delivery: Delivery) -> str:
    return delivery.body.decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """Return a text from outside as a terminal may show it: no control character acts."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1]
        for character in text
    )


async def _retry(url: str, arguments: Namespace) -> None:
    async with Database(url) as database:
        for number in arguments.id:
            async with database.transaction() as tx:
                await store.retry(tx, DeliveryId(number))
                await ring(tx, Bell.DELIVERY)
            print(f"delivery {number} waits to be applied again")
