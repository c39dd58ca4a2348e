"""Loads the configuration: the file, the environment over it, the secrets' files, then the checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.settings.document import Document, read_document
from bot.settings.environment import FILE_VARIABLE, apply_environment
from bot.settings.problems import ConfigurationError, Problem
from bot.settings.secret_files import Files, read_secret_files
from bot.settings.tree import Settings
from bot.settings.validation import validate

DEFAULT_FILE = Path("machine.yaml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used."""

    settings: Settings
    warnings: tuple[Problem, ...]
    """What is odd, but not wrong."""
    files: tuple[Path, ...]
    """Everything that it was read from."""
    fingerprint: str
    """Of the content of the files, as it was read."""


def default_file(environ: Mapping[str, str]) -> Path:
    """Return the file that is read when none is named."""
    return Path(environ.get(FILE_VARIABLE) or DEFAULT_FILE)


def load_settings(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Return the settings; raises `ConfigurationError` with everything that is wrong with them."""
    files = Files()
    try:
        content = files.read(path)
    except OSError as error:
        problem = Problem(
            file=str(path),
            expected=f"expected a file that can be read: {error.strerror}",
            hint=f"another one is named by --config or {FILE_VARIABLE}",
        )
        raise ConfigurationError([problem], files=files.paths, fingerprint=files.fingerprint) from error
    document = read_document(content, str(path))
    try:
        settings, warnings = _read(document, environ, files, path.parent)
    except ConfigurationError as error:
        raise ConfigurationError(error.problems, files=files.paths, fingerprint=files.fingerprint) from None
    return Loaded(settings, warnings, files.paths, files.fingerprint)


def _read(
    document: Document, environ: Mapping[str, str], files: Files, folder: Path
) -> tuple[Settings, tuple[Problem, ...]]:
    if document.problems and document.data is None:
        # Of a file that is no YAML nothing else is worth saying.
        raise ConfigurationError(document.problems)
    apply_environment(document, environ)
    unknown = read_secret_files(document, files, folder)
    return validate(document, unknown)
