"""Talks to one Alertmanager, which may be a cluster of peers, over its API v2.

Also to what speaks the same API below a prefix: Mimir (`/alertmanager`),
Grafana (`/api/alertmanager/grafana`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

import aiohttp
import structlog

from bot.alerts.peers import reading
from bot.alerts.peers.model import (
    ClusterState,
    NewSilence,
    PeerAlert,
    PeerGroup,
    PeerStatus,
    PeerView,
    Silence,
    SilenceState,
    Snapshot,
    Unreachable,
    merged,
)
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.core.clock import Clock
from bot.core.errors import (
    BrokenError,
    InvalidError,
    LostLeadershipError,
    MachineError,
    NotFoundError,
    UnavailableError,
)
from bot.core.matchers import Matcher

log = structlog.get_logger(__name__)

_GOSSIP_TAKES = 3.0
"""Seconds within which every peer that can be reached hears of a new silence."""
_GOSSIP_STEP = 0.05
_CLOCKS_DIFFER = timedelta(minutes=5)
"""How far our clock may be ahead of theirs: a new silence would be pending until that time has come there."""
_MOST_BYTES = 64 * 2**20
_CHUNK = 64 * 1024
_FINE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})
_CLOSED_TO_US = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}
)
_REFUSED = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
)

_SAID = (
    ("must not match the empty string", "expected at least one matcher that does not match an empty label"),
    ("at least 1 item", "expected at least one matcher"),
    ("start time must be before", "expected the end after the start"),
    ("end time can't be in the past", "expected an end in the future"),
    ("must not be in the past", "expected an end in the future"),
    ("invalid regular expression", "expected a regular expression in RE2's syntax"),
    ("error parsing regexp", "expected a regular expression in RE2's syntax"),
    ("bad matcher format", "expected label names of letters, digits and underscores"),
    ("invalid label name", "expected label names of letters, digits and underscores"),
    ("exceeded maximum", "it has as many silences, or as large ones, as its limits allow"),
    ("too large", "it has as many silences, or as large ones, as its limits allow"),
)  # fmt: skip
"""What Alertmanager's refusals contain, and our words for it: its own may repeat what was sent."""

T = TypeVar("T")


class UninvitedError(BrokenError):
    """A Grafana wants a token, and we were given none: its alerts are taken, and it is not asked."""


class AlertmanagerCluster:
    """One configured Alertmanager."""

    def __init__(self, settings: AlertmanagerSettings, session: aiohttp.ClientSession, clock: Clock) -> None:
        """Take what is configured, and a session that the caller opens and closes."""
        self.name = settings.name
        self._peers = tuple(_Peer(settings, url, session) for url in settings.api_urls)
        self._clock = clock

    async def look(self) -> Snapshot | Unreachable:
        """Return what its peers list now; a failure is a value here, for it decides something too."""
        taken_at = self._clock.now()
        seen = await asyncio.gather(*(_outcome(peer.look) for peer in self._peers))
        views = tuple(view for view in seen if isinstance(view, PeerView))
        if views:
            return Snapshot(taken_at=taken_at, views=views, missing=len(seen) - len(views))
        failures = [failure for failure in seen if isinstance(failure, MachineError)]
        is_uninvited = all(isinstance(failure, UninvitedError) for failure in failures)
        return Unreachable(taken_at, str(failures[0]), is_uninvited)

    async def look_at_groups(self, snapshot: Snapshot) -> Snapshot:
        """Add how the alerts are grouped; a snapshot stays as it is where a peer has stopped answering."""
        seen = await asyncio.gather(*(_outcome(peer.list_groups) for peer in self._peers))
        found = [groups for groups in seen if isinstance(groups, tuple)]
        if len(found) < len(snapshot.views):
            return snapshot
        return replace(snapshot, groups=tuple(group for groups in found for group in groups))

    async def list_alerts(self, matchers: Sequence[Matcher] = ()) -> tuple[PeerAlert, ...]:
        """Return the alerts that fire and match, of all peers that answer.

        Raises:
            InvalidError: Alertmanager does not understand a matcher.
            UnavailableError: None of the peers answers.
            BrokenError: None does as it should.
        """
        seen = await asyncio.gather(*(_outcome(partial(peer.list_alerts, matchers)) for peer in self._peers))
        found = [alerts for alerts in seen if isinstance(alerts, tuple)]
        if not found:
            raise next(failure for failure in seen if isinstance(failure, MachineError))
        status = PeerStatus(started_at=None, cluster=ClusterState.UNKNOWN, version="")
        return tuple(merged(PeerView(status, alerts) for alerts in found).values())

    async def get_status(self) -> PeerStatus:
        """Return how the first peer that answers is."""
        return await self._ask(lambda peer: peer.get_status())

    async def list_silences(self) -> tuple[Silence, ...]:
        """Return all silences that it still knows, expired ones too."""
        return await self._ask(lambda peer: peer.list_silences())

    async def get_silence(self, silence_id: str) -> Silence:
        """Return a silence.

        Raises:
            NotFoundError: It knows none of this id.
        """
        return await self._ask(lambda peer: peer.get_silence(silence_id))

    async def create_silence(self, new: NewSilence, *, replaces: str | None = None) -> str:
        """Create a silence, or change the one that it replaces; return its id.

        An id that is given back differs from the one that was replaced where
        the matchers changed. Where a peer leaves it open whether it did so, the
        others are asked before it is done again. Every peer has heard of it then:
        whatever one of them lists as sent counts, and it would call for somebody.

        Raises:
            InvalidError: Alertmanager refuses it; the text says why.
            NotFoundError: The one to replace does not exist (any more).
        """
        failure: MachineError | None = None
        for peer in self._peers:
            if failure is not None and (known := await self._find_equal(new)) is not None:
                return known.id
            try:
                silence_id = await peer.create_silence(new, replaces)
            except UnavailableError as error:
                failure = error
                continue
            await self._until_all_know(silence_id, but=peer)
            return silence_id
        if failure is not None and (known := await self._find_equal(new)) is not None:
            return known.id
        raise failure or BrokenError(f"Alertmanager {self.name} has no address.")

    async def expire_silence(self, silence_id: str) -> None:
        """End a silence now; one that has ended is left alone.

        Raises:
            NotFoundError: It knows none of this id.
        """
        await self._ask(lambda peer: peer.expire_silence(silence_id))

    async def _until_all_know(self, silence_id: str, *, but: "_Peer") -> None:
        """Wait for the gossip; those that do not answer, or hear of nothing, are not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOSSIP_TAKES):
                await asyncio.gather(*(peer.hear_of(silence_id) for peer in self._peers if peer is not but))

    async def _find_equal(self, new: NewSilence) -> Silence | None:
        ends_at = reading.to_milliseconds(new.ends_at)
        try:
            silences = await self.list_silences()
        except MachineError:
            return None
        for known in silences:
            said = (known.matchers, known.created_by, known.comment, known.ends_at)
            same = said == (new.matchers, new.created_by, new.comment, ends_at)
            if same and known.state is not SilenceState.EXPIRED:
                return known
        return None

    async def _ask(self, question: Callable[["_Peer"], Awaitable[T]]) -> T:
        """Ask the peers in turn; only one that is down or broken leads to the next."""
        failure: MachineError | None = None
        for peer in self._peers:
            try:
                return await question(peer)
            except (UnavailableError, BrokenError) as error:
                failure = failure or error
        raise failure or BrokenError(f"Alertmanager {self.name} has no address.")


class _Peer:
    """One process of an Alertmanager."""

    def __init__(self, settings: AlertmanagerSettings, url: str, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._base = f"{url}/api/v2"
        self._session = session

    async def look(self) -> PeerView:
        # The status comes last: of a peer that restarts in between, the list is not believed.
        alerts = await self.list_alerts(())
        return PeerView(await self.get_status(), alerts)

    async def get_status(self) -> PeerStatus:
        return await self._read("GET", "/status", reading.read_status)

    async def list_alerts(self, matchers: Sequence[Matcher]) -> tuple[PeerAlert, ...]:
        filters = [("filter", str(matcher)) for matcher in matchers]
        return await self._read("GET", "/alerts", reading.read_alerts, params=filters)

    async def list_groups(self) -> tuple[PeerGroup, ...]:
        return await self._read("GET", "/alerts/groups", reading.read_groups)

    async def list_silences(self) -> tuple[Silence, ...]:
        return await self._read("GET", "/silences", reading.read_silences)

    async def get_silence(self, silence_id: str) -> Silence:
        return await self._read("GET", _silence(silence_id), reading.read_silence)

    async def hear_of(self, silence_id: str) -> None:
        """Return once it knows a silence, or does not answer."""
        while isinstance(await _outcome(partial(self.get_silence, silence_id)), NotFoundError):  # noqa: ASYNC110 (gossip)
            await asyncio.sleep(_GOSSIP_STEP)

    async def create_silence(self, new: NewSilence, replaces: str | None) -> str:
        if replaces is None:
            # What was to begin in the past begins now.
            new = replace(new, starts_at=new.starts_at - _CLOCKS_DIFFER)
        body = reading.write_silence(new, replaces=replaces)
        return await self._read("POST", "/silences", reading.read_silence_id, json=body)

    async def expire_silence(self, silence_id: str) -> None:
        status, body = await self._request("DELETE", _silence(silence_id))
        said = reading.read_refusal(body).lower()
        if status in _FINE or "already expired" in said:
            return
        # Deleting an unknown silence is answered 500 with this text, by some versions 404.
        if status == HTTPStatus.NOT_FOUND or "not found" in said:
            raise _no_such_silence(self._settings.name)
        self._fail(status, body)

    async def _read(self, method: str, path: str, read: Callable[[Any], T], **request: Any) -> T:
        status, body = await self._request(method, path, **request)
        if status not in _FINE:
            if status == HTTPStatus.NOT_FOUND and (path.startswith("/silence/") or method == "POST"):
                raise _no_such_silence(self._settings.name)
            self._fail(status, body)
        try:
            # Large answers are read apart, so that no webhook waits for them.
            if len(body) > _CHUNK:
                return await asyncio.to_thread(lambda: read(reading.read_json(body)))
            return read(reading.read_json(body))
        except BrokenError as error:
            raise BrokenError(f"Alertmanager {self._settings.name} is not understood. {error}") from error

    async def _request(self, method: str, path: str, **request: Any) -> tuple[int, bytes]:
        name, timeout = self._settings.name, self._settings.timeout.total_seconds()
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.request(
                    method,
                    self._base + path,
                    headers=self._settings.request_headers,
                    allow_redirects=method == "GET",
                    **request,
                ) as response,
            ):
                return response.status, await self._body(response)
        except TimeoutError as error:
            raise UnavailableError(f"Alertmanager {name} does not answer within {timeout:g} s.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.debug("alertmanager_unreachable", source=name, error=type(error).__name__)
            raise UnavailableError(f"Alertmanager {name} cannot be reached.") from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        left = _MOST_BYTES
        async for part in response.content.iter_chunked(_CHUNK):
            left -= len(part)
            if left < 0:
                raise BrokenError(
                    f"Alertmanager {self._settings.name} answers more than {_MOST_BYTES >> 20} MiB."
                )
            parts.append(part)
        return b"".join(parts)

    def _fail(self, status: int, body: bytes) -> NoReturn:
        name = self._settings.name
        said = reading.read_refusal(body)
        log.info("alertmanager_refused", source=name, status=status, said=said[:300])
        if status in _REFUSED:
            why = next((ours for theirs, ours in _SAID if theirs in said.lower()), f"it answers {status}")
            raise InvalidError(f"Alertmanager {name} refuses this: {why}.")
        if (
            status in _CLOSED_TO_US
            and self._settings.kind == "grafana"
            and not self._settings.has_credentials
        ):
            raise UninvitedError(f"Grafana {name} is not asked: it wants a `token`, and none is configured.")
        if status in _CLOSED_TO_US:
            raise BrokenError(f"Alertmanager {name} refuses our credentials.")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise UnavailableError(f"Alertmanager {name} answers {status}.")
        raise BrokenError(f"Alertmanager {name} answers {status}: its address or path is wrong.")


async def _outcome(ask: Callable[[], Awaitable[T]]) -> T | MachineError:
    try:
        return await ask()
    except LostLeadershipError:
        raise
    except MachineError as error:
        return error


def _silence(silence_id: str) -> str:
    # An id comes from a button or from what somebody typed: it must stay one part of the path.
    if not silence_id or not all(char.isascii() and (char.isalnum() or char in "-_") for char in silence_id):
        raise NotFoundError("There is no silence of this id.")
    return f"/silence/{silence_id}"


def _no_such_silence(name: str) -> NotFoundError:
    return NotFoundError(f"Alertmanager {name} knows no such silence (any more).")
