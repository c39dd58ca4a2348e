"""What is wrong with a configuration, said so that a person can put it right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bot.core.errors import InvalidError

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and places in lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, or odd. Holds no value of the configuration that could be a secret."""

    file: str
    """The file, or the name of the environment variable."""
    line: int | None = None
    """From 1; None where there are no lines."""
    key: str = ""
    """Such as `alerts.routes[1].channel`; empty for the file as a whole."""
    expected: str
    """What was expected, or what is wrong."""
    nearest: str | None = None
    """The valid name that is most like the one that was written."""
    hint: str | None = None
    """What else may help."""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        text = f"{where}: {self.key}: {self.expected}" if self.key else f"{where}: {self.expected}"
        text += f"; did you mean {self.nearest}?" if self.nearest else ""
        return text + (f" ({self.hint})" if self.hint else "")


class ConfigurationError(InvalidError):
    """The configuration cannot be used; holds everything that is wrong with it."""

    def __init__(
        self, problems: Iterable[Problem], *, files: tuple[Path, ...] = (), fingerprint: str = ""
    ) -> None:
        """Take the problems, and the files whose change could put them right."""
        self.problems = tuple(problems)
        self.files = files
        self.fingerprint = fingerprint
        super().__init__("\n".join(map(str, self.problems)))


def written_key(path: KeyPath) -> str:
    """Return the path as people write it: `alerts.routes[1].channel`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def nearest(text: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that is most like the text, if one is alike."""
    known = {candidate.lower(): candidate for candidate in sorted(candidates)}
    close = get_close_matches(text.lower(), known, n=1)
    return known[close[0]] if close else None
