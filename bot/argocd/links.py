"""Where people open things in Argo CD's own pages."""

from collections.abc import Callable

from bot.argocd.cluster import ArgoCluster
from bot.argocd.settings import ArgoSettings
from bot.kube.model import ObjectKey


class Links:
    """Knows the address of Argo CD's pages: the configured one, else the one that Argo CD calls its own."""

    def __init__(self, argo: ArgoCluster, settings: Callable[[], ArgoSettings]) -> None:
        """Take what is configured at the moment of asking."""
        self._argo = argo
        self._settings = settings

    async def to_application(self, key: ObjectKey) -> str | None:
        """Return the page of an Application; None where nobody knows the address."""
        base = self._settings().url or (await self._argo.config()).url
        return f"{base.rstrip('/')}/applications/{key.namespace}/{key.name}" if base else None
