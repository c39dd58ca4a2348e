"""The reference of the configuration, written from the models: `docs/configuration.md`."""

import json
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.configurable import Section
from bot.settings.environment import variable_for
from bot.settings.problems import KeyPath, written_key
from bot.settings.schema import default_of, inner_section, twin_description
from bot.settings.shape import Key, as_section, bare, keys_of
from bot.settings.tree import Settings

EXAMPLE = """\
discord:
  token_file: /run/secrets/discord-token
  guild: "1136200000000000000"
  channels: {alerts: "1136200000000000001", critical: "1136200000000000002", audit: "1136200000000000004"}
  roles: {operators: "1136200000000000007", oncall: "1136200000000000008"}
web: {port: 8080, tokens_file: /run/secrets/webhook-tokens}
database: {url: "sqlite+aiosqlite:////var/lib/the-machine/machine.db"}
alertmanagers:
  - {name: main, urls: ["http://alertmanager:9093"], timeout: 10s}
alerts:
  routes:
    - {match: ['alertname=~"Watchdog|InfoInhibitor"'], channel: none}
    - {match: ['severity="critical"'], channel: critical, mention: [oncall], remind: 15m}
    - {channel: alerts}
access:
  grants:
    - {roles: [operators], may: ["alerts:*", "machine:*"], on: ["*"]}
"""

_INTRODUCTION = f"""\
# Configuration

This page is written by `machine schema --markdown`; a test fails when it is stale.

One YAML file: the one that `--config` names, else `$MACHINE_CONFIG`, else `./machine.yaml`. A key that is not
listed here is an error. `machine check-config` says everything that is wrong with a file, with line and key;
`machine schema` prints a JSON Schema for editors.

```yaml
{EXAMPLE}```

- **Variables.** Each key can be set by the variable beside it, which wins over the file. Its value is YAML.
  In a list, the place stands where the table says `0`.
- **Secrets.** A key with a `…_file` twin can be read from a file instead, never both. A relative name
  starts at the folder of the configuration; a newline at the end is cut off.
- **Durations** are written `30s`, `15m`, `1h30m`, `7d`. **Ids** are best written in quotation marks.
- **Reload.** SIGHUP, or a change of the file or of a secret's file, takes the new configuration without a
  restart, except for what is marked *restart*. One that is wrong is reported, and the old one stays.
"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([_INTRODUCTION, *_section(Settings, (), "The sections", needs_restart=False)])


def _section(section: type[Section], path: KeyPath, title: str, *, needs_restart: bool) -> Iterator[str]:
    yield f"## {title}\n"
    if path:
        yield f"{section.__doc__}\n"
    yield "| key | type | default | what it is | variable |"
    yield "| --- | --- | --- | --- | --- |"
    for key in keys_of(section).values():
        yield from _rows(key, path, needs_restart=needs_restart)
    yield ""
    for key in keys_of(section).values():
        inner = inner_section(key)
        if inner is not None:
            below = (*path, key.name) if as_section(bare(key.field.annotation)) else (*path, key.name, 0)
            heading = f"`{written_key(below).replace('[0]', '[]')}`"
            yield from _section(inner, below, heading, needs_restart=needs_restart or key.needs_restart)


def _rows(key: Key, path: KeyPath, *, needs_restart: bool) -> Iterator[str]:
    restart = " *restart*" if needs_restart or key.needs_restart else ""
    restart = restart or (" *restart* to add or remove it" if key.needs_restart_to_appear else "")
    default = default_of(key)
    shown = (
        "required" if key.field.is_required() else "" if default in (None, {}) else f"`{json.dumps(default)}`"
    )
    description = (key.field.description or "").replace("|", "\\|").replace("\n", " ")
    yield _row(key.name, _type(key.field.annotation), shown, description + restart, (*path, key.name))
    if key.twin is not None:
        yield _row(
            key.twin_name, "name of a file", "", twin_description(key) + restart, (*path, key.twin_name)
        )


def _row(name: str, kind: str, default: str, description: str, path: KeyPath) -> str:
    return f"| `{name}` | {kind} | {default} | {description} | `{variable_for(path)}` |"


_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    bool: "true or false",
    timedelta: "duration",
    SecretStr: "secret",
    Path: "name of a file",
}


def _type(annotation: Any) -> str:
    plain = bare(annotation)
    arguments = typing.get_args(plain)
    match typing.get_origin(plain):
        case kind if kind is tuple:
            return f"list of {_type(arguments[0])}"
        case kind if kind is dict:
            return f"names with {_type(arguments[1])}"
        case kind if kind is typing.Literal:
            return " or ".join(f"`{choice}`" for choice in arguments)
        case _:
            return "section" if as_section(plain) else _WORDS[plain]
