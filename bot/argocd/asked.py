"""What a sync's plan keeps for whoever begins it: read back from JSON after any restart. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

from bot.argocd.fields import flag, items, mapping, number, text, texts
from bot.argocd.model import ResourceKey
from bot.kube.model import ObjectKey

SYNC: Final = "argocd.sync"
ROLLBACK: Final = "argocd.rollback"
TREE: Final = "argocd.tree"
TERMINATE: Final = "argocd.terminate"
"""The kinds of operations."""

_PARTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asked of one Application."""

    key: ObjectKey
    revisions: tuple[str, ...] = ()
    """One per source; none: what the sources follow."""
    shown: tuple[str, ...] = ()
    """What the sources came to when it was shown, one per source: it goes there, even if they move on."""
    deployed: tuple[str, ...] = ()
    """What ran when it was shown."""
    prune: bool = False
    dry_run: bool = False
    selected: tuple[ResourceKey, ...] = ()
    history_id: int | None = None
    """Only of a rollback: what to deploy again."""

    @property
    def goes_elsewhere(self) -> bool:
        """Whether it goes to what the Application was not compared with: nobody knows what differs."""
        return any(self.revisions) or self.history_id is not None

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return where it goes, one revision per source, as far as that is known."""
        both = zip_longest(self.revisions, self.shown, fillvalue="")
        return tuple(typed or shown for typed, shown in both)

    def to_json(self) -> Mapping[str, Any]:
        """Return what a plan keeps."""
        return {
            "app": list(self.key),
            "revisions": list(self.revisions),
            "shown": list(self.shown),
            "deployed": list(self.deployed),
            "prune": self.prune,
            "dry_run": self.dry_run,
            "selected": [list(each) for each in self.selected],
            **({} if self.history_id is None else {"history_id": self.history_id}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTree:
    """What somebody asked of an Application and all below it."""

    root: ObjectKey
    prune: bool = False
    shown: tuple[str, ...] = ()
    """What the sources of the root came to when it was shown what pruning deletes: it goes there."""
    deployed: tuple[str, ...] = ()
    """What ran of the root then."""
    left_out: tuple[ObjectKey, ...] = ()
    """Those that are not to be synced, whatever happens: the bot's own."""

    def to_json(self) -> Mapping[str, Any]:
        """Return what a plan keeps."""
        return {
            "app": list(self.root),
            "prune": self.prune,
            "shown": list(self.shown),
            "deployed": list(self.deployed),
            "left_out": [list(each) for each in self.left_out],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedEnd:
    """Which running sync of somebody else somebody asked to end."""

    key: ObjectKey
    started_at: str = ""
    """When it began, as Argo CD writes it; empty where it had not begun. Another one is not ended."""

    def to_json(self) -> Mapping[str, Any]:
        """Return what a plan keeps."""
        return {"app": list(self.key), "started_at": self.started_at}


def read_asked(request: Mapping[str, Any]) -> Asked:
    """Return what a plan kept."""
    return Asked(
        key=_key(request.get("app")),
        revisions=texts(request.get("revisions")),
        shown=texts(request.get("shown")),
        deployed=texts(request.get("deployed")),
        prune=flag(request.get("prune")),
        dry_run=flag(request.get("dry_run")),
        selected=tuple(
            ResourceKey(*parts)
            for each in items(request.get("selected"))
            if len(parts := texts(each)) == _PARTS
        ),
        history_id=number(request["history_id"]) if "history_id" in request else None,
    )


def read_asked_tree(request: Mapping[str, Any]) -> AskedTree:
    """Return what a plan kept."""
    return AskedTree(
        root=_key(request.get("app")),
        prune=flag(request.get("prune")),
        shown=texts(request.get("shown")),
        deployed=texts(request.get("deployed")),
        left_out=tuple(_key(each) for each in items(request.get("left_out"))),
    )


def read_asked_end(request: Mapping[str, Any]) -> AskedEnd:
    """Return what a plan kept."""
    found = mapping(dict(request))
    return AskedEnd(key=_key(found.get("app")), started_at=text(found.get("started_at")))


def _key(value: object) -> ObjectKey:
    parts: Sequence[str] = texts(value)
    return ObjectKey(*parts) if len(parts) == len(ObjectKey._fields) else ObjectKey("", "")
