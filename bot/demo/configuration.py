"""The demo's configuration: an ordinary file, read like any other."""

from dataclasses import dataclass
from pathlib import Path

from bot.demo.world import World

HOST = "127.0.0.1"
TOKEN = "demo"  # noqa: S105 (it opens a server on loopback that knows made-up alerts)


@dataclass(frozen=True, slots=True)
class SimulatedGame:
    """Where a made-up Minecraft server is, and what runs it in the cluster."""

    port: int
    console_port: int
    password: str
    namespace: str


@dataclass(frozen=True, slots=True)
class SimulatedCluster:
    """Where the made-up cluster is."""

    kubeconfig: Path
    argocd_url: str
    argocd_token: str


@dataclass(frozen=True, slots=True)
class Simulated:
    """Where what is made up can be found."""

    cluster: SimulatedCluster
    survival: SimulatedGame


def write_configuration(folder: Path, port: int, world: World, simulated: Simulated) -> Path:
    """Write the file that the app is started with, and return its path."""
    cluster, survival = simulated.cluster, simulated.survival
    file = folder / "machine.yaml"
    file.write_text(f"""\
discord:
  token: simulated
  guild: "{world.guild.id}"
  channels: {{alerts: "{world.channel.id}", gitops: "{world.channel.id}", minecraft: "{world.games.id}"}}
  roles: {{operators: "{world.operators.id}", oncall: "{world.oncall.id}"}}
web: {{host: {HOST}, port: {port}, tokens: [{TOKEN}]}}
database: {{url: "sqlite+aiosqlite:///{(folder / "machine.db").as_posix()}"}}
alerts:
  routes:
    - {{match: ['alertname=~"Watchdog|InfoInhibitor"'], channel: none}}
    - {{match: ['severity="critical"'], channel: alerts, mention: [oncall], remind: 15m}}
    - {{channel: alerts}}
access:
  grants:
    - {{roles: [operators], may: ["alerts:*", "argocd:*", "machine:*", "minecraft:*"], on: ["*"]}}
    - {{roles: [operators], may: ["argocd:sync", "argocd:rollback"], on: ["project:prod"], approvals: 1}}
kubernetes:
  kubeconfig: {cluster.kubeconfig.as_posix()}
  argocd:
    write: true
    server: {{url: "{cluster.argocd_url}", token: {cluster.argocd_token}}}
    itself: argocd/the-machine
minecraft:
  servers:
    - name: survival
      address: {HOST}:{survival.port}
      shown_address: survival.example.org
      rcon: {{address: "{HOST}:{survival.console_port}", password: {survival.password}}}
      workload: {{namespace: {survival.namespace}, kind: statefulset, name: survival}}
  discover: true
  namespaces: [{survival.namespace}]
  write: true
  every: 3s
log: {{level: warning, format: console}}
""")
    return file
