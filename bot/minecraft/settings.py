"""What can be configured about Minecraft servers."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from bot.configurable import Duration, FileTwin, NeedsRestart, Secret, Section
from bot.core.errors import InvalidError
from bot.minecraft.history import KEEP_EVERY
from bot.minecraft.model import DownRules, Edition, Server, parse_address
from bot.minecraft.rcon import DEFAULT_PORT, RconTarget

USUAL_CHANNEL = "minecraft"
_MOST_OFTEN = timedelta(seconds=1)

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
"""What we call a server."""
Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""The name of a Kubernetes namespace."""


def _address(text: str) -> str:
    try:
        parse_address(text)
    except InvalidError as error:
        raise ValueError(str(error)) from error
    return text


AddressText = Annotated[
    str,
    AfterValidator(_address),
    WithJsonSchema({"type": "string", "examples": ["mc.example.org", "10.0.0.7:25565"]}),
]
"""A host, and a port if it is not the usual one."""


def _often_enough(every: timedelta) -> timedelta:
    if not _MOST_OFTEN <= every <= KEEP_EVERY:
        raise ValueError("expected a duration from 1s to 5m")
    return every


class RconSettings(Section):
    """The console of a server, by RCON."""

    address: AddressText
    """Where RCON listens; without a port 25575."""
    password: Annotated[Secret, FileTwin()]
    """The password of RCON."""


class ConsoleSettings(RconSettings):
    """The console of a server that is found in the cluster."""

    name: ServerName
    """What the server is called here."""


class WorkloadSettings(Section):
    """What runs a server in Kubernetes."""

    namespace: Namespace
    """Where it is."""
    kind: Literal["deployment", "statefulset"] = "deployment"
    """What it is."""
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
    """Its name."""

    @property
    def resource_kind(self) -> str:
        """What it is, as Kubernetes writes it."""
        return "Deployment" if self.kind == "deployment" else "StatefulSet"


class ServerSettings(Section):
    """One server."""

    name: ServerName
    """What we call it; `server:<name>` in grants."""
    address: AddressText
    """Where it is asked; a name without a port may have an SRV record."""
    edition: Literal["java", "bedrock"] = "java"
    """Which game it is."""
    shown_address: str | None = Field(default=None, max_length=100)
    """What players type, where that is something else; empty: nobody is told."""
    rcon: RconSettings | None = None
    """Its console: names of all players, the whitelist, a word before it stops."""
    workload: WorkloadSettings | None = None
    """What runs it, where it can be started and stopped."""


class DownSettings(Section):
    """When a server that is down becomes an incident."""

    after: Duration = timedelta(minutes=5)
    """It must have been down for this long."""
    back_for: Duration = timedelta(minutes=1)
    """It must be back for this long before it counts as back."""
    severity: str = Field(default="warning", min_length=1, max_length=40)
    """The label `severity` of the alert, for routes."""


class MinecraftSettings(Section):
    """Minecraft servers: their status, their past, their whitelists."""

    servers: tuple[ServerSettings, ...] = ()
    """The servers."""
    consoles: tuple[ConsoleSettings, ...] = ()
    """Consoles of servers that are found in the cluster."""
    discover: Annotated[bool, NeedsRestart()] = False
    """Whether servers are also found among the Services of the cluster; needs the section `kubernetes`."""
    namespaces: Annotated[tuple[Namespace, ...], NeedsRestart()] = ()
    """Where Services are looked at. Empty: in the whole cluster, but then pods are not watched: of several
    servers behind one Service none can be asked, and nothing is said of their pods."""
    write: bool = False
    """Whether people may start and stop servers that run in Kubernetes."""
    boards: tuple[str, ...] | None = None
    """Names of `discord.channels` that have a board with all servers; without it `minecraft`, where that is
    one of them."""
    requests: str | None = None
    """The name of the channel in which requests for a place on a whitelist wait for an operator; without
    it that of the first board."""
    presence: bool = True
    """Whether the bot's presence says how many play."""
    every: Annotated[Duration, AfterValidator(_often_enough)] = timedelta(seconds=15)
    """How often each server is asked, from every second to every 5 minutes."""
    timeout: Duration = timedelta(seconds=5)
    """How long an answer may take."""
    at_once: int = Field(default=50, ge=1, le=500)
    """How many servers are asked at the same moment at most."""
    down: DownSettings | None = DownSettings()
    """When a server that is down becomes an incident; `null`: never."""
    keep: Duration = timedelta(days=7)
    """How long every change is kept that was seen."""
    keep_hours: Duration = timedelta(days=365)
    """How long what each hour was like is kept."""

    @property
    def until_next(self) -> timedelta:
        """How long it takes at most until each server was asked again; no two intervals are the same."""
        return self.every * 1.2 + self.timeout


def compile_servers(settings: MinecraftSettings) -> tuple[Server, ...]:
    """Return the servers that the configuration names."""
    return tuple(
        Server(
            name=each.name,
            address=parse_address(each.address),
            edition=Edition(each.edition),
            shown_address=each.address if each.shown_address is None else each.shown_address,
            namespace=each.workload.namespace if each.workload is not None else "",
        )
        for each in settings.servers
    )


def compile_console(settings: MinecraftSettings, server: str) -> RconTarget | None:
    """Return where the console of a server is; None: it has none that we know of."""
    consoles: dict[str, RconSettings | None] = {each.name: each for each in settings.consoles}
    consoles.update((each.name, each.rcon) for each in settings.servers)
    if (console := consoles.get(server)) is None:
        return None
    address, password = parse_address(console.address), console.password.get_secret_value()
    return RconTarget(address.host, address.port or DEFAULT_PORT, password)


def compile_down(settings: MinecraftSettings) -> DownRules | None:
    """Return when a server that is down is worth an incident; None: never."""
    down = settings.down
    return None if down is None else DownRules(after=down.after, back_for=down.back_for)
