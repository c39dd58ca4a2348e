"""What runs for one Application, and how it is doing."""

from dataclasses import dataclass

from bot.demo.cluster.repositories import Piece, ResourceKey

_WITH_HEALTH = frozenset(
    {
        "Application",
        "CronJob",
        "DaemonSet",
        "Deployment",
        "Ingress",
        "Job",
        "Pod",
        "ReplicaSet",
        "Service",
        "StatefulSet",
    }
)
HEALTHY, PROGRESSING, DEGRADED, MISSING = "Healthy", "Progressing", "Degraded", "Missing"


@dataclass(slots=True)
class Live:
    """One resource that exists."""

    piece: Piece
    passes: int = 0
    """How many passes ago it was applied."""
    drifted: bool = False
    """Somebody changed it by hand."""
    broken: bool = False
    """It became unhealthy by itself."""

    @property
    def health(self) -> str | None:
        """How it is, or None for a kind that cannot be ill."""
        if self.piece.kind not in _WITH_HEALTH:
            return None
        if self.broken:
            return DEGRADED
        if self.passes < self.piece.passes:
            return PROGRESSING
        return DEGRADED if self.piece.degrades else HEALTHY


class Running:
    """Everything that exists for one Application."""

    def __init__(self) -> None:
        """Begin without anything."""
        self.resources: dict[ResourceKey, Live] = {}
        self.hooks: dict[ResourceKey, Live] = {}
        self._refused: dict[ResourceKey, int] = {}

    def tick(self) -> None:
        """Let a pass go by."""
        for live in (*self.resources.values(), *self.hooks.values()):
            live.passes += 1

    def refuse(self, key: ResourceKey, piece: Piece) -> str:
        """Return why a piece cannot be applied now; empty if it can."""
        if not piece.refused:
            return ""
        times = self._refused.get(key, 0)
        if piece.refusals is not None and times >= piece.refusals:
            return ""
        self._refused[key] = times + 1
        return piece.refused

    def apply(self, key: ResourceKey, piece: Piece) -> str:
        """Make it so; returns what `kubectl` would say."""
        kind = f"{piece.kind.lower()}.{piece.group}" if piece.group else piece.kind.lower()
        if piece.hook:
            self.hooks[key] = Live(piece)
            return f"{kind}/{piece.name} created"
        there = self.resources.get(key)
        if there is not None and there.piece == piece and not there.drifted:
            return f"{kind}/{piece.name} unchanged"
        self.resources[key] = Live(piece)
        return f"{kind}/{piece.name} {'configured' if there else 'created'}"
