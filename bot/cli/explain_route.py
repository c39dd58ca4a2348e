"""`machine explain-route label=value …`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator

from bot.alerts.routing import Route, RouteVerdict, explain_routes
from bot.alerts.settings import compile_routes
from bot.cli.configuration import add_config_argument, load_configuration
from bot.core.durations import format_duration
from bot.core.errors import InvalidError


def add_arguments(parser: ArgumentParser) -> None:
    """Take the labels of one alert."""
    add_config_argument(parser)
    parser.add_argument(
        "labels", nargs="+", metavar="label=value", help="the alert's labels; __source__ and __receiver__ too"
    )


def run(arguments: Namespace) -> int:
    """Print a line for each route."""
    labels = parse_labels(arguments.labels)
    settings = load_configuration(arguments).settings
    # An alert always comes from somewhere; most people ask about the first one.
    labels.setdefault("__source__", settings.default_source)
    for line in explanation(explain_routes(compile_routes(settings.alerts), labels)):
        print(line)
    return 0


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Return the labels that `label=value` texts stand for; raises `InvalidError`."""
    labels: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InvalidError(f"expected label=value, found {text!r}")
        is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
        labels[name.strip()] = value[1:-1] if is_quoted else value
    return labels


def explanation(verdicts: Iterable[RouteVerdict]) -> Iterator[str]:
    """Return a line for each route: whether it matched, and why not."""
    for verdict in verdicts:
        yield f"routes[{verdict.route.index}] → {_destination(verdict.route)}: {_why(verdict)}"


def _destination(route: Route) -> str:
    parts = [route.channel or "no card"]
    if route.mention:
        parts.append("mentions " + ", ".join(route.mention))
    if route.remind is not None:
        parts.append(f"reminds after {format_duration(route.remind)}")
    if route.thread:
        parts.append("with a thread")
    return ", ".join(parts)


def _why(verdict: RouteVerdict) -> str:
    if not verdict.reached:
        return "not asked, an earlier route matched"
    if not verdict.matched:
        return "no, " + " and ".join(map(str, verdict.failed))
    if not verdict.route.matchers:
        return "matches, it takes everything"
    return "matches, and later routes are asked too" if verdict.route.goes_on else "matches"
