"""Writes what in `chart/` follows from elsewhere: `values.schema.json`, `README.md` and the dashboards.

The values of the chart itself are described by the comments of `values.yaml`; what stands
under `config` by the models of the bot, less what a ConfigMap must not hold.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bot.settings.schema import json_schema
from tests.chart.dashboards import ALL, FOLDER, drawn

CHART = Path(__file__).parents[2] / "chart"
SCHEMA = CHART / "values.schema.json"
README = CHART / "README.md"

_SCHEMA_LINE = "@schema "
# Helm before 3.18 knows no newer one.
_DIALECT = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart, as `values.yaml` says it."""

    path: tuple[str, ...]
    default: Any
    description: str
    schema: dict[str, Any]
    below: tuple["Value", ...] = ()
    """Empty for what is not the chart's to describe."""


@dataclass(slots=True)
class _Comment:
    description: list[str] = field(default_factory=list)
    schema: dict[str, Any] = field(default_factory=dict)


def read_values(text: str | None = None) -> tuple[Value, ...]:
    """Return the values with their descriptions."""
    text = (CHART / "values.yaml").read_text() if text is None else text
    node = yaml.compose(text, yaml.SafeLoader)
    return tuple(_values(node, yaml.safe_load(text), text.splitlines(), ()))


def _values(node: Any, defaults: Any, lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    for key, below in node.value:
        comment = _comment_above(lines, key.start_mark.line)
        here, default = (*path, key.value), defaults[key.value]
        inner: tuple[Value, ...] = ()
        if isinstance(default, dict) and isinstance(below, yaml.MappingNode):
            inner = tuple(_values(below, default, lines, here))
        described = inner if any(each.description or each.below for each in inner) else ()
        yield Value(here, default, " ".join(comment.description), comment.schema, described)


def _comment_above(lines: list[str], line: int) -> _Comment:
    comment = _Comment()
    begin = line
    while begin and lines[begin - 1].lstrip().startswith("#"):
        begin -= 1
    for each in lines[begin:line]:
        text = each.lstrip().removeprefix("#").strip()
        if text.startswith(_SCHEMA_LINE):
            comment.schema = yaml.safe_load(text.removeprefix(_SCHEMA_LINE))
        else:
            comment.description.append(text)
    return comment


def values_schema() -> dict[str, Any]:
    """Return the JSON Schema of the chart's values."""
    configuration = config_schema()
    definitions = configuration.pop("definitions")
    definitions["Settings"] = configuration
    return {
        "$schema": _DIALECT,
        "title": "Values of the chart of The Machine",
        **_section(read_values()),
        "required": ["config"],
        "definitions": definitions,
    }


def _section(values: tuple[Value, ...]) -> dict[str, Any]:
    properties = {value.path[-1]: _schema_of(value) for value in values}
    if values and len(values[0].path) == 1:
        properties["global"] = {"type": "object", "description": "What Helm hands to a chart inside another."}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _schema_of(value: Value) -> dict[str, Any]:
    if value.schema.get("config"):
        return {"description": value.description, "allOf": [{"$ref": "#/definitions/Settings"}]}
    if value.below:
        schema = _section(value.below)
    else:
        schema = {"type": _type_of(value.default)}
        if isinstance(value.default, list) and value.default and "items" not in value.schema:
            schema["items"] = {"type": _type_of(value.default[0])}
    if value.description:
        schema = {"description": value.description, **schema}
    return {**schema, **value.schema}


def _type_of(default: Any) -> str:
    kinds = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return kinds[type(default)]


def config_schema() -> dict[str, Any]:
    """Return the schema of `config`: the bot's own, without secrets, and with ids that Helm does not round."""
    schema = json_schema()
    definitions = schema.pop("$defs")
    for name in ("$schema", "title"):
        schema.pop(name)
    whole = json.loads(
        json.dumps({**schema, "definitions": definitions}).replace("#/$defs/", "#/definitions/")
    )
    for section in [whole, *whole["definitions"].values()]:
        _without_secrets(section)
        _as_helm_reads(section)
    _only_strings(whole)
    whole["required"] = ["discord", "alerts"]
    return whole


def _without_secrets(section: dict[str, Any]) -> None:
    properties = section.get("properties", {})
    for name in [name for name in properties if f"{name}_file" in properties]:
        if name == "url":
            # A file of SQLite is no secret, and everything else has a password.
            properties[name] = {
                "type": "string",
                "pattern": "^sqlite\\+aiosqlite:///",
                "description": "A database of SQLite. PostgreSQL has a password: `url_file`, or `postgresql`.",
            }
            continue
        del properties[name]
        twin = properties[f"{name}_file"]
        twin["description"] = (
            f"{twin['description'].removesuffix(' Never both.')} In the chart a secret is a file."
        )
        section["allOf"] = [each for each in section["allOf"] if name not in each["not"]["required"]]
        if not section["allOf"]:
            del section["allOf"]


def _as_helm_reads(section: dict[str, Any]) -> None:
    properties = section.get("properties", {})
    if "on" in properties:
        about = "`on`, as Helm reads it without quotation marks."
        properties["true"] = {**properties["on"], "description": about}


def _only_strings(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") == ["string", "integer"]:
            node["type"] = "string"
        for below in node.values():
            _only_strings(below)
    elif isinstance(node, list):
        for below in node:
            _only_strings(below)


_INTRODUCTION = """\
# The chart of The Machine

This page is written by `make schema` from `values.yaml`; a test fails when it is stale.

```sh
kubectl create namespace the-machine
kubectl -n the-machine create secret generic the-machine \\
  --from-literal=discord-token=… --from-literal=webhook-tokens="$(openssl rand -hex 32)"
helm install the-machine ./chart --namespace the-machine --values values.yaml
```

with as little in `values.yaml` as

```yaml
{minimal}```

- **`config`** is the bot's own configuration, as [docs/configuration.md](../docs/configuration.md) lists it, and goes into a
  ConfigMap. A secret there is refused by the schema: it is a file, `/run/secrets/the-machine/<key of the Secret>`.
- **Rights.** Without `config.kubernetes` the pod has no token for the API server. Each feature that is on brings a Role for
  the namespaces that it names: to read, and with `write: true` to change. Where it names none, a ClusterRole.
- **SQLite or PostgreSQL.** Without more it is SQLite on a volume: one process, which ends before the next begins
  (`Recreate`). With PostgreSQL as many as you like, of which one leads (`RollingUpdate`).
- **Changed configuration** is taken within a minute without a restart; what needs one restarts the pod (`configChecksum`).
- **Names are for good.** Where Argo CD does not prune, a Deployment of another name leaves the former one alive.

Examples: [ci](ci/). By Argo CD: [deploy/argocd](../deploy/argocd/).

## Values

| key | default | what it is |
| --- | --- | --- |
"""


def readme() -> str:
    """Return the page about the chart."""
    example = (CHART / "ci" / "minimal-values.yaml").read_text()
    minimal = re.sub(r"\A(#.*\n)+", "", example)
    introduction = _INTRODUCTION.replace("{minimal}", minimal)
    return introduction + "".join(f"{row}\n" for value in read_values() for row in _rows(value))


def _rows(value: Value) -> Iterator[str]:
    key = ".".join(value.path)
    if value.below:
        if value.description:
            yield f"| **`{key}`** |  | {value.description} |"
        for below in value.below:
            yield from _rows(below)
    else:
        default = json.dumps(value.default).replace("|", "\\|")
        yield f"| `{key}` | {f'`{default}`' if value.default not in ('', [], {}) else ''} | {value.description} |"


def written() -> dict[Path, str]:
    """Return each file that is written, with its content."""
    schema = json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"
    pictures = {FOLDER / f"{dashboard.name}.json": drawn(dashboard) for dashboard in ALL}
    return {SCHEMA: schema, README: readme(), **pictures}


if __name__ == "__main__":
    for path, content in written().items():
        path.write_text(content)
        print(path, file=sys.stderr)
