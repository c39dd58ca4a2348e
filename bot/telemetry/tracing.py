"""Traces: what follows from what, across tasks, restarts and processes.

The rooms speak to this module, which knows nothing of OpenTelemetry: without an
endpoint in the environment nothing is made, kept or imported. What must go on
elsewhere is stored as the text of a W3C `traceparent` beside what causes it.
"""

from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from types import TracebackType
from typing import Protocol

from bot.core.errors import RefusedError
from bot.telemetry.redaction import redact

Value = str | bool | int | float
"""What an attribute can be."""


class Kind(StrEnum):
    """On which side of a call a span is."""

    INTERNAL = "internal"
    SERVER = "server"
    """Somebody outside asked us."""
    CLIENT = "client"
    """We ask somebody outside."""
    CONSUMER = "consumer"
    """We go on with what was stored."""


class Span(Protocol):
    """One thing that is under way."""

    def set(self, **attributes: Value) -> None:
        """Say more about it."""
        ...

    def fail(self, why: str) -> None:
        """Say that it did not work."""
        ...

    def end(self) -> None:
        """Say that it is over; only for what was begun by `begin`."""
        ...


class Engine(Protocol):
    """What makes spans: `bot.telemetry.otel`, where it is configured."""

    def begin(self, name: str, kind: Kind, attributes: Mapping[str, Value]) -> Span:
        """Begin a span under the present one."""
        ...

    def use(self, span: Span) -> AbstractContextManager[object]:
        """Have a span be the present one."""
        ...

    def follow(self, traceparent: str) -> AbstractContextManager[object]:
        """Have a span of another time or place be the present one."""
        ...

    def present(self) -> tuple[str, str, bool] | None:
        """Return the ids of the present trace and span, and whether they are kept."""
        ...

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Say more about the present span."""
        ...

    def inject(self, headers: MutableMapping[str, str], span: Span) -> None:
        """Write a span into the headers of a request."""
        ...

    def extract(self, headers: Mapping[str, str]) -> AbstractContextManager[object]:
        """Have the span that is written in headers be the present one."""
        ...


class _NoSpan:
    def set(self, **attributes: Value) -> None:
        """Forget it."""

    def fail(self, why: str) -> None:
        """Forget it."""

    def end(self) -> None:
        """Do nothing."""


_REFUSED = 400
_NO_SPAN = _NoSpan()
_NO_BLOCK: AbstractContextManager[Span, bool | None] = nullcontext(_NO_SPAN)
_NOWHERE = nullcontext()
_engine: Engine | None = None


def use_engine(engine: Engine | None) -> None:
    """Have spans made by this from now on; None: none are made."""
    global _engine  # noqa: PLW0603 (as the loggers and the metrics, there is one for the process)
    _engine = engine


class _Block:
    """A span for as long as a block lasts."""

    def __init__(self, engine: Engine, begun: Span) -> None:
        self._begun = begun
        self._present = engine.use(begun)

    def __enter__(self) -> Span:
        self._present.__enter__()
        return self._begun

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._present.__exit__(kind, error, trace)
        match error:
            case RefusedError():
                self._begun.set(outcome="refused")
            case Exception():
                self._begun.fail(type(error).__name__)
        self._begun.end()


def span(
    name: str, kind: Kind = Kind.INTERNAL, /, **attributes: Value
) -> AbstractContextManager[Span, bool | None]:
    """Have what is done inside be a span; what it raises is noted and passes."""
    if _engine is None:
        return _NO_BLOCK
    return _Block(_engine, _engine.begin(name, kind, redacted(attributes)))


def begin(name: str, kind: Kind, /, **attributes: Value) -> Span:
    """Begin a span that no block encloses; nothing is made outside of a trace."""
    if _engine is None or _engine.present() is None:
        return _NO_SPAN
    return _engine.begin(name, kind, redacted(attributes))


def note(**attributes: Value) -> None:
    """Say more about the present span, whoever began it."""
    if _engine is not None:
        _engine.note(redacted(attributes))


def answered(begun: Span, status: int) -> None:
    """End the span of a request that was answered."""
    begun.set(**{"http.response.status_code": status})
    if status >= _REFUSED:
        begun.fail(str(status))
    begun.end()


def unanswered(begun: Span | None, error: BaseException) -> None:
    """End the span of a request that was not."""
    if begun is not None:
        begun.fail(type(error).__name__)
        begun.end()


def following(traceparent: str | None) -> AbstractContextManager[object]:
    """Go on with what was stored; with nothing where nothing was."""
    return _engine.follow(traceparent) if _engine is not None and traceparent else _NOWHERE


def arriving(headers: Mapping[str, str]) -> AbstractContextManager[object]:
    """Go on with what a sender says in its headers."""
    return _engine.extract(headers) if _engine is not None else _NOWHERE


def departing(headers: MutableMapping[str, str], begun: Span) -> None:
    """Tell a system of ours, by the headers of a request, what it is a part of."""
    if _engine is not None and begun is not _NO_SPAN:
        _engine.inject(headers, begun)


def traceparent() -> str | None:
    """Return the present span as it is stored; None outside of a trace."""
    if (present := ids()) is None:
        return None
    trace, span, is_kept = present
    return f"00-{trace}-{span}-{'01' if is_kept else '00'}"


def ids() -> tuple[str, str, bool] | None:
    """Return the ids of the present trace and span, and whether they are kept."""
    return _engine.present() if _engine is not None else None


def redacted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Return attributes without secrets in them."""
    return {name: redact(value, name) for name, value in attributes.items()}
