"""Sets keys from environment variables: `MACHINE_WEB__PORT=9090` is `web.port`.

The value is YAML, so that lists and mappings can be given too; where text is
wanted, what is not a text in YAML is taken as it stands.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bot.settings.document import Document, Place, read_value
from bot.settings.problems import KeyPath, Problem, nearest
from bot.settings.shape import annotation_at, is_secret, keys_of
from bot.settings.tree import Settings

PREFIX = "MACHINE_"
FILE_VARIABLE = "MACHINE_CONFIG"

_NOT_OURS = re.compile(
    # What the test suite is told, and what Kubernetes sets for a Service called machine or machine-….
    r"MACHINE_(?:CONFIG|TEST_.*|(?:.*_)?SERVICE_(?:HOST|PORT(?:_.*)?)|(?:.*_)?PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_.*)?)"
)
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+:[0-9]+")


def variable_for(path: KeyPath) -> str:
    """Return the name of the variable that sets the key."""
    return PREFIX + "__".join(str(step).upper() for step in path)


def apply_environment(document: Document, environ: Mapping[str, str]) -> None:
    """Set what the variables say in the document, in place; what is wrong joins its problems."""
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and not _is_not_ours(variable, environ[variable]):
            document.problems.extend(_apply(document, variable, environ[variable]))


def _is_not_ours(variable: str, value: str) -> bool:
    if "__" in variable:
        return False
    is_service = variable.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(value) is not None
    return is_service or _NOT_OURS.fullmatch(variable) is not None


def _apply(document: Document, variable: str, text: str) -> Iterator[Problem]:
    steps = variable.removeprefix(PREFIX).lower().split("__")
    if steps[0] not in keys_of(Settings):
        yield _unknown_section(variable, steps)
        return
    if not isinstance(document.data, dict):
        document.data = {}
    path, holder, expected = _holder(document, variable, steps)
    if holder is None:
        yield Problem(file=variable, expected=expected)
        return
    try:
        value = _value(text, annotation_at(Settings, path))
    except yaml.YAMLError:
        # PyYAML quotes the value in its message, and the value may be a secret.
        yield Problem(file=variable, expected="expected a value in YAML")
        return
    document.forget(path)
    document.places[path] = Place(variable)
    holder[path[-1]] = value


def _holder(document: Document, variable: str, steps: list[str]) -> tuple[KeyPath, Any, str]:
    """Return the key's path and the mapping or list that is to hold it, or None and what was expected."""
    here: Any = document.data
    path: KeyPath = ()
    for depth, step in enumerate(steps):
        if not step:
            return path, None, "expected a key between two pairs of underscores"
        place: str | int = step
        if isinstance(here, list):
            if not step.isdecimal() or int(step) >= len(here):
                return path, None, f"expected the place of one of the {len(here)} entries, from 0"
            place = int(step)
        elif not isinstance(here, dict):
            return path, None, "expected a key that holds others"
        path = (*path, place)
        if depth == len(steps) - 1:
            break
        if isinstance(here, dict) and here.get(step) is None:
            here[step] = {}
            document.forget(path)
            document.places[path] = Place(variable)
        here = here[place]
    return path, here, ""


def _value(text: str, annotation: Any) -> Any:
    wants_text = annotation is str or is_secret(annotation)
    if is_secret(annotation) and text[:1] not in {'"', "'"}:
        return text
    try:
        value = read_value(text)
    except yaml.YAMLError:
        if wants_text:
            return text
        raise
    return text if wants_text and not isinstance(value, str) else value


def _unknown_section(variable: str, steps: list[str]) -> Problem:
    sections = keys_of(Settings)
    # One underscore where two belong is the usual slip.
    for section in sections:
        if len(steps) == 1 and steps[0].startswith(f"{section}_"):
            meant = variable_for((section, steps[0].removeprefix(f"{section}_")))
            return Problem(file=variable, key=steps[0], expected="unknown section", nearest=meant)
    close = nearest(steps[0], sections)
    meant_section = None if close is None else variable_for((close, *steps[1:]))
    return Problem(file=variable, key=steps[0], expected="unknown section", nearest=meant_section)
