"""What can be configured about the way to the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bot.configurable import Duration, NeedsRestart, Section


class ClusterSettings(Section):
    """The way to the Kubernetes API.

    In a pod it needs no configuration: the service account is used. Elsewhere,
    or where one of the keys says so, a kubeconfig is.
    """

    context: Annotated[str | None, NeedsRestart()] = Field(default=None, min_length=1)
    """The context of the kubeconfig to use. Without it: the current one."""
    kubeconfig: Annotated[Path | None, NeedsRestart()] = None
    """The kubeconfig to use. Without it: the service account, else `$KUBECONFIG`, else `~/.kube/config`."""
    timeout: Annotated[Duration, NeedsRestart()] = timedelta(seconds=30)
    """How long one request may take. Watches are open for longer; they have deadlines of their own."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process finds around itself, if nothing is configured."""

    environ: Mapping[str, str]
    account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Where Kubernetes mounts the service account of a pod."""
    fresh_for: timedelta = timedelta(minutes=1)
    """How long credentials are used before they are read again."""
