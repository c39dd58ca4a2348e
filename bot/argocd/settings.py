"""What can be configured about Argo CD."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from bot.argocd.stories import NewsPolicy, Route
from bot.configurable import Duration, FileTwin, HttpUrl, MatcherText, NeedsRestart, Secret, Section
from bot.core.matchers import parse_matchers

USUAL_CHANNEL: Final = "gitops"

Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""The name of a Kubernetes namespace."""

AppName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}/[a-z0-9.-]{1,253}$")]
"""An Application as `<namespace>/<name>`."""


class ArgoServerSettings(Section):
    """The API of argocd-server: diffs, the health of each resource, the subjects of commits."""

    url: HttpUrl
    """Its address; the one that people open, unless `kubernetes.argocd.url` names another for links."""
    token: Annotated[Secret, FileTwin()]
    """The token of an account or a project role that may `get` applications."""
    timeout: Duration = timedelta(seconds=10)
    """How long an answer may take."""


class NewsRouteSettings(Section):
    """Where news about some Applications are shown; the first route that fits is taken."""

    match: tuple[MatcherText, ...] = ()
    """Matchers over `project`, `app`, `namespace`, `health`, `sync`, `phase`, `event` and the Application's
    labels, in Alertmanager's syntax; all of them must fit."""
    channel: str
    """A name of `discord.channels`, or `none`: the journal alone is told."""


class ArgoSettings(Section):
    """Applications of Argo CD: shown, and with `write` also synced."""

    namespaces: Annotated[tuple[Namespace, ...], NeedsRestart()] = Field(default=("argocd",))
    """Where Applications are; the first one is Argo CD's own. Empty: the whole cluster is watched, and Argo
    CD's own namespace is `argocd`."""
    write: bool = False
    """Whether people may sync, refresh, roll back and terminate; without it everything is only shown."""
    server: ArgoServerSettings | None = None
    """Where diffs come from; without it only what differs is named, not how."""
    url: HttpUrl | None = None
    """The address that links lead people to; without it the one in `argocd-cm`."""
    itself: AppName | None = None
    """The Application that deploys the bot, as `argocd/the-machine`. It can be refreshed and compared by
    everybody who may; everything else needs `allow_itself`. Without it the bot looks for itself."""
    allow_itself: bool = False
    """Whether the bot's own Application may be synced and rolled back, with another person's approval."""
    news: tuple[NewsRouteSettings, ...] = ()
    """Where failed syncs, degraded and drifted Applications and new revisions are told. Without routes they
    go to the channel `gitops` of `discord.channels`, if there is one."""
    quiet: bool = True
    """Whether deployments by auto-sync that went well stay out of the channel; the journal has them."""
    settle: Duration = timedelta(minutes=1)
    """How long an Application must be degraded or out of sync before it is news."""


def compile_news(settings: ArgoSettings, channels: Mapping[str, str]) -> NewsPolicy:
    """Return what the settings say about news; `channels` are our names with Discord's ids."""
    routes = settings.news or (NewsRouteSettings(channel=USUAL_CHANNEL),)
    return NewsPolicy(
        routes=tuple(
            Route(
                matchers=tuple(matcher for text in route.match for matcher in parse_matchers(text)),
                channel_id=int(channels[route.channel]) if route.channel in channels else None,
            )
            for route in routes
        ),
        quiet=settings.quiet,
        settle=settings.settle,
    )
