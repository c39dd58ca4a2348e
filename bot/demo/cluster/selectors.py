"""Label and field selectors, as the query of a list or a watch writes them."""

import re
from collections.abc import Callable, Mapping

from bot.demo.cluster.failures import bad_request

Labels = Mapping[str, str]
Selector = Callable[[Labels], bool]

_COMMA_OUTSIDE = re.compile(r",(?![^(]*\))")
_IN = re.compile(r"^\s*(?P<key>[\w./-]+)\s+(?P<op>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[\w./-]+)\s*(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<absent>!?)\s*(?P<key>[\w./-]+)\s*$")
_FIELDS = ("metadata.name", "metadata.namespace")


def label_selector(text: str) -> Selector:
    """Return what decides about labels; an empty text takes all.

    Raises:
        ApiError: 400, the text is no selector.
    """
    terms = [_term(part) for part in _COMMA_OUTSIDE.split(text)] if text.strip() else []
    return lambda labels: all(term(labels) for term in terms)


def _term(text: str) -> Selector:
    if found := _IN.match(text):
        return _among(found["key"], found["values"], wanted=found["op"] == "in")
    if found := _EQUAL.match(text):
        key, value, wanted = found["key"], found["value"], found["op"] != "!="
        return lambda labels: (labels.get(key) == value) is wanted
    if found := _EXISTS.match(text):
        key, wanted = found["key"], not found["absent"]
        return lambda labels: (key in labels) is wanted
    raise bad_request(f"unable to parse requirement: found '{text}', expected: a label selector")


def _among(key: str, listed: str, *, wanted: bool) -> Selector:
    values = {value.strip() for value in listed.split(",")}
    return lambda labels: (labels.get(key) in values) is wanted


def field_selector(text: str) -> dict[str, str]:
    """Return the fields that must have a value: only the name and the namespace can be asked for.

    Raises:
        ApiError: 400, another field or another operator.
    """
    wanted: dict[str, str] = {}
    for term in filter(None, (part.strip() for part in text.split(","))):
        name, operator, value = (part.strip() for part in term.partition("="))
        if name not in _FIELDS or not operator:
            raise bad_request(f"field label not supported: {name}")
        wanted[name] = value.removeprefix("=")
    return wanted
