"""What a sender says of an alert beyond labels and annotations, kept among its annotations.

The names begin and end with two underscores. Grafana keeps such names to itself
(it takes them out of what it sends), so that nobody's own annotation is hidden.
Where Grafana has a name for the same thing, that one is used.
"""

import json
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

DASHBOARD = "__dashboard_url__"
PANEL = "__panel_url__"
SILENCE = "__silence_url__"
"""The form for a silence of this alert, with its matchers; empty: Grafana's alert, without an address."""
IMAGE = "__image_url__"
VALUES = "__values__"
"""A JSON object of numbers by the names of queries and expressions."""
ORGANISATION = "__orgId__"
RULE = "__alert_rule_uid__"

Annotations = Mapping[str, str]

_LONGEST_VALUES = 10_000


def is_hidden(name: str) -> bool:
    """Tell whether a label or an annotation is between programs, and nothing for people."""
    return name.startswith("__") and name.endswith("__")


def shown(items: Mapping[str, str]) -> dict[str, str]:
    """Return the labels or annotations that are for people."""
    return {name: value for name, value in items.items() if not is_hidden(name)}


def for_people(annotations: Annotations) -> dict[str, str]:
    """Return the annotations that are for people, with the values that an alert was judged by."""
    values = values_line(annotations)
    return {**({"values": values} if values else {}), **shown(annotations)}


def values_line(annotations: Annotations) -> str:
    """Return the values that an alert was judged by, such as `B=91.2 C=1`; empty if none are known."""
    written = annotations.get(VALUES, "")
    try:
        # As floats: there is no limit to the digits of an integer.
        values = json.loads(written, parse_int=float) if 0 < len(written) <= _LONGEST_VALUES else None
    except (ValueError, RecursionError):
        return ""
    numbers = numbers_in(values)
    return " ".join(f"{name}={_written(numbers[name])}" for name in sorted(numbers))


def numbers_in(tree: object) -> dict[str, float]:
    """Return the numbers of a JSON object by their names; what is none is left out."""
    if not isinstance(tree, dict):
        return {}
    return {name: value for name, value in tree.items() if isinstance(value, float)}


def _written(value: float) -> str:
    return f"{round(value, 3):.15g}" if abs(value) >= 1 else f"{value:.4g}"


def first_https(alerts: Iterable[Annotations], name: str) -> str:
    """Return the first address of this name that is safe on the way; empty without any."""
    addresses = (annotations.get(name, "") for annotations in alerts)
    return next((address for address in addresses if address.lower().startswith("https://")), "")


def shared_silence_url(alerts: Iterable[Annotations]) -> str | None:
    """Return Grafana's form for a silence of what these alerts share; None if they are not Grafana's.

    Empty without an address, or if they share nothing: a form that says less than
    the labels that all have would silence more.
    """
    named = list(dict.fromkeys(annotations.get(SILENCE) for annotations in alerts))
    known = [address for address in named if address]
    if not known:
        return "" if "" in named else None
    if len(named) == 1:
        return known[0]
    if len(known) < len(named):
        return ""
    try:
        first, *others = (urlsplit(address) for address in known)
    except ValueError:
        return ""
    asked = parse_qsl(first.query, keep_blank_values=True)
    for other in others:
        theirs = set(parse_qsl(other.query, keep_blank_values=True))
        asked = [item for item in asked if item in theirs]
    has_matcher = any(name == "matcher" for name, _ in asked)
    return urlunsplit(first._replace(query=urlencode(asked))) if has_matcher else ""
