"""Turns data into settings, or into everything that is wrong with it in words for a person."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bot.settings.document import Document, Place
from bot.settings.environment import variable_for
from bot.settings.problems import ConfigurationError, KeyPath, Problem, nearest
from bot.settings.rules import Finding, check_rules
from bot.settings.shape import keys_of, names_in, section_at
from bot.settings.tree import Settings

_EXPECTED = {
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "model_type": "expected keys with values",
    "model_attributes_type": "expected keys with values",
    "dict_type": "expected names with values",
    "tuple_type": "expected a list",
    "string_too_short": "expected text that is not empty",
    "string_pattern_mismatch": "expected a name of letters, digits, dots, dashes and underscores",
}


def settings_from(data: Mapping[str, Any]) -> Settings:
    """Return settings from plain data; raises `ConfigurationError` as a file would."""
    document = Document(data=dict(data), places={(): Place("configuration")})
    settings, _ = validate(document)
    return settings


def validate(document: Document, unknown: Iterable[KeyPath] = ()) -> tuple[Settings, tuple[Problem, ...]]:
    """Return the settings and what is odd about them.

    `unknown` are keys whose problem has been reported already. Raises
    `ConfigurationError` with the document's problems and all that are found.
    """
    data = _without_empty_sections(document.data)
    if data is None:
        document.problems.append(document.problem((), "expected keys with values"))
        raise ConfigurationError(document.problems)
    reported = set(unknown)
    settings, errors = _build(data)
    problems = [_problem(document, error) for error in _worth_saying(errors, reported)]
    findings = [finding for finding in check_rules(_as_meant(data, errors)) if finding.path not in reported]
    problems += [_said(document, finding) for finding in findings if not finding.is_warning]
    document.problems.extend(problems)
    if settings is None or document.problems:
        raise ConfigurationError(sorted(document.problems, key=lambda problem: problem.line or 0))
    return settings, tuple(_said(document, finding) for finding in findings if finding.is_warning)


def _without_empty_sections(data: Any) -> dict[str, Any] | None:
    """A section with nothing under it is as good as none."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        return None
    return {key: value for key, value in data.items() if value is not None or key not in keys_of(Settings)}


def _build(data: dict[str, Any]) -> tuple[Settings | None, list[ErrorDetails]]:
    try:
        return Settings.model_validate(data), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _worth_saying(errors: list[ErrorDetails], reported: set[KeyPath]) -> list[ErrorDetails]:
    """Leave out what only follows from another error: a key that is misspelt is not missing as well."""
    paths = [_path(error["loc"]) for error in errors]
    meant = {
        (*path[:-1], _meant_key(path))
        for path, error in zip(paths, errors, strict=True)
        if error["type"] == "extra_forbidden"
    }

    def follows(path: KeyPath, kind: str) -> bool:
        is_emptied = kind == "too_short" and any(path == other[: len(path)] != other for other in paths)
        return path in reported or (kind == "missing" and path in meant) or is_emptied

    return [error for path, error in zip(paths, errors, strict=True) if not follows(path, error["type"])]


def _path(loc: tuple[int | str, ...]) -> KeyPath:
    return tuple(step for step in loc if step != "[key]")


def _problem(document: Document, error: ErrorDetails) -> Problem:
    path = _path(error["loc"])
    match error["type"]:
        case "extra_forbidden":
            return document.problem(path, "unknown key", nearest=_meant_key(path))
        case "missing":
            return _missing(document, path)
        case "literal_error":
            choices = re.findall("'(.*?)'", error["ctx"]["expected"])
            close = nearest(str(error["input"]), choices)
            return document.problem(path, f"expected {' or '.join(choices)}", nearest=close)
        case _:
            return document.problem(path, _expected(error))


def _expected(error: ErrorDetails) -> str:
    limits = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(limits["error"])
        case "too_short":
            return f"expected at least {limits['min_length']}, found {limits['actual_length']}"
        case "greater_than_equal":
            return f"expected a number of at least {limits['ge']}"
        case "less_than_equal":
            return f"expected a number of at most {limits['le']}"
        case kind:
            return _EXPECTED.get(kind) or error["msg"].replace("Input should be", "expected")


def _missing(document: Document, path: KeyPath) -> Problem:
    section = section_at(Settings, path[:-1])
    key = keys_of(section)[str(path[-1])] if section else None
    expected = (
        "missing" if key is None else f"missing; expected: {_first_sentence(key.field.description or '')}"
    )
    twin = f"{key.twin_name} or " if key and key.twin else ""
    return document.problem(path, expected, hint=f"or {twin}{variable_for(path)}")


def _first_sentence(text: str) -> str:
    sentence = text.split(". ", maxsplit=1)[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _meant_key(path: KeyPath) -> str | None:
    section = section_at(Settings, path[:-1])
    return nearest(str(path[-1]), names_in(section)) if section else None


def _as_meant(data: dict[str, Any], errors: list[ErrorDetails]) -> dict[str, Any]:
    """Return the data with misspelt keys put right, so that the rules judge what was meant."""
    meant: dict[str, Any] = _copy(data)
    for error in errors:
        path = _path(error["loc"])
        if error["type"] != "extra_forbidden":
            continue
        holder: Any = meant
        for step in path[:-1]:
            holder = holder[step]
        value = holder.pop(path[-1])
        name = _meant_key(path)
        if name is not None:
            holder.setdefault(name, value)
    return meant


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(below) for key, below in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value


def _said(document: Document, finding: Finding) -> Problem:
    return document.problem(finding.path, finding.expected, nearest=finding.nearest, hint=finding.hint)
