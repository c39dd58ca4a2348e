"""The JSON Schema of the configuration file, for editors: with the names, twins and durations of the file."""

from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter

from bot.configurable import Section
from bot.settings.shape import Key, as_section, bare, keys_of
from bot.settings.tree import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema of the file; what has a twin, and the sections, may come from elsewhere."""
    schema = Settings.model_json_schema()
    definitions = schema["$defs"]
    for section in sections_below(Settings):
        _complete(section, schema if section is Settings else definitions[section.__name__])
    _tidy(schema)
    return {"$schema": DIALECT, "title": "The Machine", **schema}


def sections_below(section: type[Section]) -> list[type[Section]]:
    """Return the section and every one inside it, each once, in the order of the file."""
    found = [section]
    for key in keys_of(section).values():
        inner = inner_section(key)
        found += [below for below in sections_below(inner) if below not in found] if inner else []
    return found


def inner_section(key: Key) -> type[Section] | None:
    """Return the section that stands under the key, or in the list under it."""
    annotation = bare(key.field.annotation)
    arguments = getattr(annotation, "__args__", ())
    return as_section(annotation) or next((found for found in map(as_section, arguments) if found), None)


def default_of(key: Key) -> Any:
    """Return the default as it would be written in the file; None where there is none to write."""
    value = key.field.get_default(call_default_factory=True)
    if key.field.is_required() or value is None:
        return None
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return {}
    # The field's own metadata knows how a duration is written.
    return TypeAdapter(key.field.rebuild_annotation()).dump_python(value, mode="json")


def _complete(section: type[Section], schema: dict[str, Any]) -> None:
    properties: dict[str, Any] = {}
    pairs: list[str] = []
    for key in keys_of(section).values():
        properties[key.name] = schema["properties"][key.name]
        # pydantic drops a description that is the section's own as well.
        properties[key.name]["description"] = key.field.description
        properties[key.name].pop("default", None)
        default = default_of(key)
        if default not in (None, {}):
            properties[key.name]["default"] = default
        if key.twin is not None:
            properties[key.twin_name] = {
                "type": "string",
                "minLength": 1,
                "description": twin_description(key),
            }
            pairs.append(key.name)
    schema["properties"] = properties
    if pairs:
        schema["allOf"] = [{"not": {"required": [name, f"{name}_file"]}} for name in pairs]
    required = [name for name in schema.get("required", ()) if name not in pairs]
    schema.pop("required", None)
    # A section that a variable can fill may be absent from the file, a part of a list may not.
    if required and section is not Settings:
        schema["required"] = required


def twin_description(key: Key) -> str:
    """Say what the key's twin is for."""
    what = "one on each line" if key.twin is not None and key.twin.lines else "the content of the file"
    return f"The name of a file that holds `{key.name}`: {what}. Never both."


def _tidy(node: Any) -> None:
    """Remove the titles, which editors show instead of descriptions, and bound the names of mappings."""
    if isinstance(node, dict):
        if "patternProperties" in node:
            node["additionalProperties"] = False
        if isinstance(node.get("title"), str):
            del node["title"]
        for below in node.values():
            _tidy(below)
    elif isinstance(node, list):
        for below in node:
            _tidy(below)
