from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bot.settings.document import read_document
from bot.settings.reference import EXAMPLE, reference
from bot.settings.schema import json_schema

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_reference_in_docs_is_the_one_the_models_give() -> None:
    assert PAGE.read_text() == reference(), "run: machine schema --markdown > docs/configuration.md"


def test_the_schema_is_one_and_takes_the_example() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    data = read_document(EXAMPLE.encode(), "example").data
    assert list(Draft202012Validator(schema).iter_errors(data)) == []


def _properties(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            assert node["additionalProperties"] is False
            yield from node["properties"].items()
        for below in node.values():
            yield from _properties(below)


def test_every_key_of_the_schema_is_described() -> None:
    properties = list(_properties(json_schema()))
    assert [name for name, schema in properties if not schema.get("description")] == []
    assert {"continue", "token_file", "tokens_file", "url_file", "password_file"} <= {
        name for name, _ in properties
    }


def test_defaults_are_written_as_in_the_file() -> None:
    defaults = {name: schema.get("default") for name, schema in _properties(json_schema())}
    assert (defaults["reopen_within"], defaults["hmac_tolerance"]) == ("30m", "5m")


@pytest.mark.parametrize(
    "wrong",
    [
        "web: {prot: 1}",
        "discord: {token: a, token_file: b, guild: '1', channels: {a: '1'}}",
        "alerts: {}",
        "log: {level: x}",
    ],
)
def test_the_schema_refuses_what_is_wrong(wrong: str) -> None:
    assert not Draft202012Validator(json_schema()).is_valid(yaml.safe_load(wrong))
