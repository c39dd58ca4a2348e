"""The repositories that are deployed from: what each commit wants to run, and how that behaves."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from bot.demo.cluster.failures import Json

_GROUPS = {
    "Application": "argoproj.io",
    "CronJob": "batch",
    "CustomResourceDefinition": "apiextensions.k8s.io",
    "DaemonSet": "apps",
    "Deployment": "apps",
    "HorizontalPodAutoscaler": "autoscaling",
    "Ingress": "networking.k8s.io",
    "Job": "batch",
    "NetworkPolicy": "networking.k8s.io",
    "ReplicaSet": "apps",
    "ServiceMonitor": "monitoring.coreos.com",
    "StatefulSet": "apps",
}
_VERSIONS = {"Application": "v1alpha1", "HorizontalPodAutoscaler": "v2"}


class ResourceKey(NamedTuple):
    """What Argo CD tells resources apart by."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One manifest, and what becomes of it once it is applied."""

    kind: str
    name: str
    namespace: str = ""
    """Empty: where the Application is deployed to."""
    wave: int = 0
    hook: str = ""
    """`PreSync`, `Sync`, `PostSync` or `SyncFail`; empty for an ordinary resource."""
    image: str = ""
    content: str = ""
    """Whatever else may differ between two commits."""
    passes: int = 0
    """After how many passes of the controller it is healthy, or its work is done."""
    degrades: bool = False
    """It ends unhealthy; a hook fails."""
    refused: str = ""
    """The API server's words against it, if it cannot be applied."""
    refusals: int | None = None
    """How often it is refused before it is taken; None: for ever."""
    needs_confirmation: bool = False
    """It is pruned only when somebody says so: `Prune=confirm`."""
    application: Json | None = field(default=None, compare=False)
    """For one of kind Application: the child as it is written into the cluster."""

    @property
    def group(self) -> str:
        """The API group of its kind."""
        return _GROUPS.get(self.kind, "")

    @property
    def version(self) -> str:
        """The API version of its kind."""
        return _VERSIONS.get(self.kind, "v1")

    def key(self, namespace: str) -> ResourceKey:
        """Return what it is told apart by, deployed to a namespace."""
        return ResourceKey(self.group, self.kind, self.namespace or namespace, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One revision of a repository."""

    revision: str
    author: str
    message: str
    at: datetime
    contents: Mapping[str, tuple[Piece, ...]]
    """By path, or by the name of a chart; what is not here is as it was before."""


class UnknownRevisionError(Exception):
    """The repository has no such revision; the text is Argo CD's."""


class UnreachableError(Exception):
    """The repository does not answer."""


class Repositories:
    """All of them, by address."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Begin without any."""
        self._now = now
        self._commits: dict[str, list[Commit]] = {}
        self._tags: dict[tuple[str, str], str] = {}
        self.unreachable: set[str] = set()
        """Those that do not answer at the moment."""

    def commit(
        self,
        repo: str,
        path: str,
        pieces: Sequence[Piece],
        *,
        message: str = "Change something",
        author: str = "ada <ada@example.org>",
        tag: str = "",
    ) -> str:
        """Have a path hold these pieces from now on; returns the revision."""
        commits = self._commits.setdefault(repo, [])
        text = f"{repo} {len(commits)} {path} {message}"
        revision = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        contents = {path: tuple(pieces)}
        commits.append(
            Commit(revision=revision, author=author, message=message, at=self._now(), contents=contents)
        )
        if tag:
            self._tags[repo, tag] = revision
        return revision

    def resolve(self, repo: str, wanted: str) -> str:
        """Return the revision that a branch, a tag or the beginning of a revision names.

        Raises:
            UnknownRevisionError: It names none.
            UnreachableError: Nobody can tell.
        """
        if repo in self.unreachable:
            raise UnreachableError(repo)
        commits = self._commits.get(repo, [])
        if commits and wanted in {"", "HEAD", "main", "master"}:
            return commits[-1].revision
        if tagged := self._tags.get((repo, wanted)):
            return tagged
        for commit in commits:
            if wanted and commit.revision.startswith(wanted):
                return commit.revision
        raise UnknownRevisionError(
            f"Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: "
            f"code = Unknown desc = unable to resolve '{wanted}' to a commit SHA"
        )

    def find(self, repo: str, revision: str) -> Commit | None:
        """Return a commit, or None."""
        return next((each for each in self._commits.get(repo, []) if each.revision == revision), None)

    def pieces(self, repo: str, revision: str, path: str) -> tuple[Piece, ...]:
        """Return what a path holds at a revision; nothing if there is no such path."""
        for commit in self._until(repo, revision):
            if path in commit.contents:
                return commit.contents[path]
        return ()

    def _until(self, repo: str, revision: str) -> Iterator[Commit]:
        commits = self._commits.get(repo, [])
        last = next((place for place, each in enumerate(commits) if each.revision == revision), -1)
        return reversed(commits[: last + 1])
