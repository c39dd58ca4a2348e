"""Reads YAML and remembers on which line everything stands.

Only what YAML 1.2 calls a truth value or a number is one: `on`, `no` and
`12:30` stay text. A key is always text. A key that is given twice is a problem.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from bot.settings.problems import KeyPath, Problem, written_key


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written."""

    file: str
    line: int | None = None
    key: KeyPath | None = None
    """What is written there, where it is not the key itself."""


@dataclass(slots=True)
class Document:
    """The values of a file, with the places where they stand."""

    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Return where the path is written, or the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                found = self.places[path[:length]]
                # What another key stands for is only meant at that very path.
                return found if length == len(path) else Place(found.file, found.line)
        return Place("")

    def forget(self, path: KeyPath) -> None:
        """Forget the places of everything at and below the path."""
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]

    def problem(self, path: KeyPath, expected: str, **more: str | None) -> Problem:
        """Return a problem with what stands at the path."""
        place = self.place(path)
        shown = place.key or path
        return Problem(file=place.file, line=place.line, key=written_key(shown), expected=expected, **more)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the plain values of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's)


_PLAIN = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)
for _tag, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))


def read_document(content: bytes, file: str) -> Document:
    """Return what the file says; whatever is wrong with its YAML is among the problems."""
    document = Document(places={(): Place(file, 1)})
    try:
        loader = _Loader(content)
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error, file))
        return document
    try:
        node = loader.get_single_node()
        if node is not None:
            document.data = _Reading(loader, document, file).value(node, ())
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error, file))
    except RecursionError:
        document.problems.append(Problem(file=file, expected="expected YAML that is nested less deeply"))
    finally:
        loader.dispose()
    return document


def read_value(text: str) -> Any:
    """Return the value that a short YAML text stands for; raises `yaml.YAMLError`."""
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)


class _Reading:
    """One walk over the nodes of one file."""

    def __init__(self, loader: _Loader, document: Document, file: str) -> None:
        self._loader = loader
        self._document = document
        self._file = file
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._document.places.setdefault(path, self._place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._report(node, path, "expected an alias that does not hold itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        try:
            return self._loader.construct_object(node)
        except ValueError:
            # Python refuses to read numbers of thousands of digits.
            self._report(node, path, "expected a number that is shorter")
            return None

    def _mapping(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name, key_node, value_node in self._entries(node, path):
            if name in lines:
                self._report(key_node, (*path, name), f"given twice, first on line {lines[name]}")
                continue
            lines[name] = key_node.start_mark.line + 1
            self._document.places[(*path, name)] = self._place(key_node)
            values[name] = self.value(value_node, (*path, name))
        return values

    def _entries(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, path, "expected a key that is text")
            elif key_node.value == "<<" and key_node.style is None:
                self._report(key_node, path, "expected keys written out: merging with << is not supported")
            else:
                # The text as written: YAML 1.1 would read the key `on` as true.
                yield key_node.value, key_node, value_node

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1)

    def _report(self, node: yaml.Node, path: KeyPath, expected: str) -> None:
        line = node.start_mark.line + 1
        self._document.problems.append(
            Problem(file=self._file, line=line, key=written_key(path), expected=expected)
        )


def _syntax_problem(error: yaml.YAMLError, file: str) -> Problem:
    line = None
    reason = "expected YAML in UTF-8"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        reason = "expected valid YAML: " + " ".join(filter(None, (error.problem, error.context)))
        if "'\\t'" in reason:
            return Problem(file=file, line=line, expected="expected spaces, found a tab")
    return Problem(file=file, line=line, expected=reason)
