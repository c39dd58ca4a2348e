"""The schemas of custom resources, from their CustomResourceDefinitions: what is sent and stored must fit them.

`MACHINE_TEST_CRDS` names the folder, or several as PATH does; CEL rules are not covered.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from bot.demo.cluster.failures import Json
from bot.demo.cluster.kinds import Kind
from bot.demo.cluster.schemas import Problem

VARIABLE = "MACHINE_TEST_CRDS"
_KEPT = "x-kubernetes-preserve-unknown-fields"
_EITHER = "x-kubernetes-int-or-string"
_GO_FORMATS = {"int32", "int64", "byte", "double", "float"}
_DROPPED = {"description", "default", "nullable"}


class _Loader(yaml.CSafeLoader):
    """Takes a bare `=` as the text that it is; PyYAML gives it a meaning of its own."""


_Loader.add_constructor("tag:yaml.org,2002:value", _Loader.construct_yaml_str)


@cache
def crd_schemas() -> "CrdSchemas | None":
    """The schemas of all folders, or None where no folder is named."""
    folders = os.environ.get(VARIABLE)
    return CrdSchemas(*map(Path, folders.split(os.pathsep))) if folders else None


class CrdSchemas:
    """Checks objects against the schemas of folders; a kind without a schema fits always."""

    def __init__(self, *folders: Path) -> None:
        paths = [path for folder in folders for path in folder.glob("*.yaml")]
        definitions = [yaml.load(path.read_bytes(), _Loader) for path in paths]
        self._schemas = {
            (definition["spec"]["group"], version["name"], definition["spec"]["names"]["kind"]): version[
                "schema"
            ]["openAPIV3Schema"]
            for definition in definitions
            for version in definition["spec"]["versions"]
        }
        self._validators: dict[tuple[str, str, str], Draft202012Validator] = {}

    def __len__(self) -> int:
        return len(self._schemas)

    def problems(self, kind: Kind, body: Json) -> Sequence[Problem]:
        """What is wrong with an object."""
        name = (kind.group, kind.version, kind.kind)
        if name not in self._schemas:
            return ()
        if name not in self._validators:
            self._validators[name] = Draft202012Validator(top(self._schemas[name]))
        return [problem for error in self._validators[name].iter_errors(body) for problem in _problems(error)]


def top(schema: Any) -> Any:
    """JSON Schema for whole objects: what Kubernetes itself defines is left to Kubernetes."""
    converted = convert(schema)
    properties = {**converted.get("properties", {}), "metadata": {"type": "object"}}
    return {**converted, "properties": {"apiVersion": {}, "kind": {}, **properties}}


def convert(schema: Any) -> Any:
    """JSON Schema for a structural schema."""
    if isinstance(schema, list):
        return [convert(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {
        name: _properties(value) if name == "properties" else convert(value)
        for name, value in schema.items()
        if not name.startswith("x-kubernetes-")
        and name not in _DROPPED
        and not (name == "format" and value in _GO_FORMATS)
    }
    if schema.get(_EITHER):
        converted.pop("type", None)
        converted["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if schema.get("nullable") and "type" in converted:
        converted["type"] = [converted["type"], "null"]
    if "properties" in schema and not schema.get(_KEPT) and "additionalProperties" not in schema:
        converted["additionalProperties"] = False
    return converted


def _properties(properties: dict[str, Any]) -> dict[str, Any]:
    # Their names are no keywords: a property may be called `description`.
    return {name: convert(value) for name, value in properties.items()}


def _problems(error: ValidationError) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield Problem((*path, name), "Required value", "FieldValueRequired")
    elif error.validator == "additionalProperties":
        for name in error.instance.keys() - error.schema["properties"].keys():
            yield Problem((*path, name), "unknown field", unknown=True)
    else:
        yield Problem(path, f"Invalid value: {error.message}")
