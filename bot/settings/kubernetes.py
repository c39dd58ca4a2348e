"""The part of the configuration that is about a cluster: how it is reached, and which features are on."""

from typing import Annotated

from bot.argocd.settings import ArgoSettings
from bot.configurable import NeedsRestartToAppear
from bot.kube.settings import ClusterSettings


class KubernetesSettings(ClusterSettings):
    """The cluster. A feature is on when its section is there."""

    argocd: Annotated[ArgoSettings | None, NeedsRestartToAppear()] = None
    """Argo CD."""
