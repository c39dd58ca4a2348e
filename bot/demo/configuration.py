"""The demo's configuration: an ordinary file, read like any other."""

from pathlib import Path

from bot.demo.world import World

HOST = "127.0.0.1"
TOKEN = "demo"  # noqa: S105 (it opens a server on loopback that knows made-up alerts)


def write_configuration(folder: Path, port: int, world: World) -> Path:
    """Write the file that the app is started with, and return its path."""
    file = folder / "machine.yaml"
    file.write_text(f"""\
discord:
  token: simulated
  guild: "{world.guild.id}"
  channels: {{alerts: "{world.channel.id}"}}
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
    - {{roles: [operators], may: ["alerts:*", "machine:*"], on: ["*"]}}
log: {{level: warning, format: console}}
""")
    return file
