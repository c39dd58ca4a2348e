"""What a sync would change, line by line, from what argocd-server says of each managed resource.

The server hides the values of Secrets before it answers; they are hidden here
once more, because what leaves this module is posted in a channel.
"""

import json
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Any, Final

import yaml

from bot.argocd.fields import mapping, text
from bot.argocd.model import ResourceKey
from bot.argocd.views import Change, ResourceDifference

_HIDDEN: Final = "++++++++"
_HIDDEN_OTHER: Final = "++++++++++++"
_SECRET_PARTS: Final = ("data", "stringData")
_NOISE: Final = frozenset({"managedFields"})
_NOISY_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MOST_LINES: Final = 20_000
_MOST_CHARACTERS: Final = 256 * 1024
_NO_STATE: Final[Mapping[str, Any]] = {}


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as such: they are what people compare."""


def _write_text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _write_text)


def compare(items: Iterable[Mapping[str, Any]]) -> tuple[ResourceDifference, ...]:
    """Return what differs, in the order of the resources' kinds and names; hooks are left out."""
    found = [each for item in items if (each := compare_one(item)) is not None]
    return tuple(sorted(found, key=lambda each: (each.key.kind, each.key.namespace, each.key.name)))


def compare_one(item: Mapping[str, Any]) -> ResourceDifference | None:
    """Return how a managed resource differs, or None: it does not, or is a hook."""
    if item.get("hook") is True:
        return None
    key = ResourceKey(*(text(item.get(part)) for part in ("group", "kind", "namespace", "name")))
    try:
        live, wanted = _states(item)
    except ValueError:
        return ResourceDifference(
            key=key, change=Change.CHANGED, text="", problem="what the server says of it cannot be read"
        )
    if not live and not wanted:
        return None
    change = Change.CREATED if not live else Change.DELETED if not wanted else Change.CHANGED
    if change is Change.CHANGED and item.get("modified") is not True:
        return None
    if key.kind == "Secret" and not key.group:
        live, wanted = hide(live, wanted)
    return _difference(key, change, live, wanted)


def hide(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return two states of a Secret without its values; it still shows which of them differ."""
    return _hide(live, {}), _hide(wanted, live)


def _hide(secret: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    hidden = {name: value for name, value in secret.items() if name not in _SECRET_PARTS}
    for part in _SECRET_PARTS:
        if part in secret:
            beside = mapping(other.get(part))
            values = mapping(secret[part])
            hidden[part] = {name: _mask(value, beside.get(name, value)) for name, value in values.items()}
    return hidden


def _mask(value: object, other: object) -> str:
    return _HIDDEN if value == other else _HIDDEN_OTHER


def _states(item: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    target, live = _state(item, "targetState"), _state(item, "liveState")
    if not live:
        return _NO_STATE, _state(item, "predictedLiveState") or target
    if not target:
        return live, _NO_STATE
    return _state(item, "normalizedLiveState") or live, _state(item, "predictedLiveState") or target


def _state(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    written = text(item.get(name))
    return mapping(json.loads(written)) if written else _NO_STATE


def _difference(
    key: ResourceKey, change: Change, live: Mapping[str, Any], wanted: Mapping[str, Any]
) -> ResourceDifference:
    old, new = _lines(live), _lines(wanted)
    if len(old) > _MOST_LINES or len(new) > _MOST_LINES:
        problem = f"it has more than {_MOST_LINES:,} lines"
        return ResourceDifference(key=key, change=change, text="", problem=problem)
    lines = [*unified_diff(old, new, "live", "wanted", lineterm="", n=3)][2:]
    written = "\n".join(lines)
    if len(written) > _MOST_CHARACTERS:
        written = written[:_MOST_CHARACTERS].rpartition("\n")[0] + "\n… cut here"
    return ResourceDifference(
        key=key,
        change=change,
        text=written,
        added=sum(line.startswith("+") for line in lines),
        removed=sum(line.startswith("-") for line in lines),
        problem="" if lines else "it differs only in what is not shown, such as values of a Secret",
    )


def _lines(state: Mapping[str, Any]) -> list[str]:
    if not state:
        return []
    written: str = yaml.dump(
        _tidy(state),
        Dumper=_Dumper,
        sort_keys=True,
        allow_unicode=True,
        width=10_000,
        default_flow_style=False,
    )
    return written.splitlines()


def _tidy(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what nobody wrote: bookkeeping that repeats everything else."""
    metadata = {name: value for name, value in mapping(state.get("metadata")).items() if name not in _NOISE}
    annotations = mapping(metadata.get("annotations"))
    if _NOISY_ANNOTATION in annotations:
        metadata["annotations"] = {
            name: value for name, value in annotations.items() if name != _NOISY_ANNOTATION
        }
    return {**state, "metadata": metadata}
