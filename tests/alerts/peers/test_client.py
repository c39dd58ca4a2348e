"""The adapter against the real Alertmanager, and against servers that behave badly."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web

from bot.alerts.model.incident import IncidentNumber, Muting
from bot.alerts.peers import client
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.model import ClusterState, NewSilence, PeerState, SilenceState, Snapshot, Unreachable
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.alerts.reconcile import Memory, Muted, reconcile
from bot.core.clock import SystemClock
from bot.core.errors import BrokenError, InvalidError, NotFoundError, UnavailableError
from bot.core.matchers import parse_matchers
from tests.support.alerts import an_alert, an_incident
from tests.support.peers import CONFIG, a_posted_alert, a_running_pair, a_running_peer, served, until
from tests.support.ports import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATUS = {"cluster": {"status": "ready"}, "uptime": "2026-11-21T06:00:00Z", "config": {"original": ""}}
AN_ALERT = {"fingerprint": "f1", "startsAt": "2026-11-21T06:00:00Z", "labels": {"alertname": "A"}}


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def real(tmp_path):
    async with a_running_peer(tmp_path / "am") as running:
        yield running


@pytest.fixture
def cluster(session):
    """Make the adapter for some addresses."""

    def make(*urls: str, **settings) -> AlertmanagerCluster:
        configured = AlertmanagerSettings.model_validate(
            {"name": "main", "urls": list(urls), "timeout": "2s", **settings}
        )
        return AlertmanagerCluster(configured, session, SystemClock())

    return make


def answering(status: int, body: object = None, by_name: Mapping[str, object] | None = None) -> Handler:
    """Answer everything alike, but for the paths that end in these names."""

    async def handle(request: web.Request) -> web.Response:
        named = (by_name or {}).get(request.path.rpartition("/")[2])
        return web.json_response(body, status=status) if named is None else web.json_response(named)

    return handle


def a_silence(matchers: str = 'alertname="KubePodCrashLooping"', *, hours: float = 1) -> NewSilence:
    now = datetime.now(UTC)
    return NewSilence(
        matchers=parse_matchers(matchers),
        starts_at=now,
        ends_at=now + timedelta(hours=hours),
        created_by="harold (Discord 42) via The Machine",
        comment="upgrade · #417 https://discord.com/channels/1/2/3",
    )


async def test_alerts_are_listed_with_what_they_say(real, cluster):
    await real.post(a_posted_alert(namespace="prod", annotations={"summary": "down @everyone"}))
    (alert,) = await cluster(real.url).list_alerts()
    assert alert.labels == {"alertname": "KubePodCrashLooping", "namespace": "prod", "severity": "warning"}
    assert alert.annotations == {"summary": "down @everyone"}
    assert alert.receivers == ("discord",)


async def test_alerts_are_listed_by_matchers_of_every_kind(real, cluster):
    await real.post(
        a_posted_alert(pod='a"b\\c'), a_posted_alert(pod="other"), a_posted_alert("Disk", pod="x")
    )
    found = await cluster(real.url).list_alerts(
        parse_matchers(r'alertname=~"Kube.+", pod!="other", severity!~"info", pod="a\"b\\c"')
    )
    assert [alert.labels["pod"] for alert in found] == ['a"b\\c']


async def test_a_silence_hides_an_alert_until_it_is_expired(real, cluster):
    ours = cluster(real.url)
    await real.post(a_posted_alert())
    silence_id = await ours.create_silence(a_silence())
    (hidden,) = await ours.list_alerts()
    assert hidden.state is PeerState.SUPPRESSED
    assert hidden.silenced_by == (silence_id,)
    await ours.expire_silence(silence_id)
    assert (await ours.get_silence(silence_id)).state is SilenceState.EXPIRED


async def test_a_silence_begins_at_once_although_our_clock_is_ahead_of_theirs(real, cluster):
    ours, before = cluster(real.url), datetime.now(UTC) - timedelta(seconds=1)
    await real.post(a_posted_alert())
    ahead = replace(a_silence(), starts_at=datetime.now(UTC) + timedelta(minutes=1))
    silence = await ours.get_silence(await ours.create_silence(ahead))
    assert silence.state is SilenceState.ACTIVE
    assert before <= silence.starts_at <= datetime.now(UTC)
    assert [alert.silenced_by for alert in await ours.list_alerts()] == [(silence.id,)]


async def test_a_silence_is_read_back_as_it_was_written(real, cluster):
    ours, new = cluster(real.url), a_silence('alertname=~"Kube.*|Disk", namespace!="dev", pod!~"x.+"')
    silence_id = await ours.create_silence(new)
    (silence,) = await ours.list_silences()
    assert silence.id == silence_id
    assert set(silence.matchers) == set(new.matchers)
    assert (silence.created_by, silence.comment) == (new.created_by, new.comment)


async def test_amtool_sees_our_silence_and_we_see_its_own(real, cluster):
    ours = cluster(real.url)
    await ours.create_silence(a_silence())
    told = json.loads(await real.amtool("silence", "query", "-o", "json"))
    assert told[0]["createdBy"] == "harold (Discord 42) via The Machine"
    added = await real.amtool(
        "silence", "add", "-a", "root", "-c", "by hand", "-d", "2h", "alertname=~Disk.*"
    )
    silence = await ours.get_silence(added)
    assert silence.conditions == ('alertname=~"Disk.*"',)
    assert silence.created_by == "root"


async def test_a_changed_end_keeps_the_id_and_changed_matchers_give_another(real, cluster):
    ours = cluster(real.url)
    first = await ours.create_silence(a_silence())
    assert await ours.create_silence(a_silence(hours=3), replaces=first) == first
    assert await ours.create_silence(a_silence('alertname="Disk"'), replaces=first) != first
    assert (await ours.get_silence(first)).state is SilenceState.EXPIRED


async def test_expiring_twice_is_fine(real, cluster):
    ours = cluster(real.url)
    silence_id = await ours.create_silence(a_silence())
    await ours.expire_silence(silence_id)
    await ours.expire_silence(silence_id)


@pytest.mark.parametrize("silence_id", ["00000000-0000-0000-0000-000000000000", "not-one", "../status", ""])
async def test_an_unknown_silence_is_not_found(real, cluster, silence_id):
    ours = cluster(real.url)
    for asked in (ours.get_silence, ours.expire_silence):
        with pytest.raises((NotFoundError, InvalidError)):
            await asked(silence_id)


async def test_replacing_an_unknown_silence_is_not_found(real, cluster):
    with pytest.raises(NotFoundError):
        await cluster(real.url).create_silence(a_silence(), replaces="00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize(
    ("silence", "why"),
    [
        (a_silence('a=~".*"'), "at least one matcher that does not match"),
        (a_silence(hours=-2), "the end after the start|an end in the future"),
        (a_silence('a=~"(?=b)c"'), "a regular expression"),
    ],
)
async def test_a_refused_silence_says_what_was_expected(real, cluster, silence, why):
    with pytest.raises(InvalidError, match=why):
        await cluster(real.url).create_silence(silence)


async def test_no_matchers_are_refused(real, cluster):
    with pytest.raises(InvalidError, match="at least one matcher"):
        await cluster(real.url).create_silence(a_silence(""))


async def test_an_inhibited_alert_says_by_what(real, cluster):
    await real.post(
        a_posted_alert("Cause", severity="critical", cluster="c"), a_posted_alert("Effect", cluster="c")
    )
    await until(real.inhibited)
    alerts = {alert.labels["alertname"]: alert for alert in await cluster(real.url).list_alerts()}
    assert alerts["Effect"].inhibited_by == (alerts["Cause"].fingerprint,)


async def test_the_status_has_its_start_and_its_times(real, cluster):
    status = await cluster(real.url).get_status()
    assert status.cluster is ClusterState.DISABLED
    assert status.timing.group_interval == timedelta(seconds=2)
    assert timedelta(0) <= datetime.now(UTC) - status.started_at < timedelta(minutes=1)


async def test_a_look_has_alerts_and_status_and_can_have_groups(real, cluster):
    ours = cluster(real.url)
    await real.post(a_posted_alert(namespace="prod", pod="a"), a_posted_alert(namespace="prod", pod="b"))
    await until(real.grouped, lambda names: len(names) == 2)
    seen = await ours.look()
    assert isinstance(seen, Snapshot)
    assert [len(view.alerts) for view in seen.views] == [2]
    grouped = await ours.look_at_groups(seen)
    (group,) = grouped.groups
    assert group.labels == {"alertname": "KubePodCrashLooping", "namespace": "prod"}
    assert len(group.alerts) == 2


async def test_what_a_real_one_shows_is_understood_by_the_reconciler(real, cluster):
    ours = cluster(real.url)
    await real.post(a_posted_alert(namespace="prod"))
    silence_id = await ours.create_silence(a_silence())
    await until(real.grouped)
    seen = await ours.look_at_groups(await ours.look())
    (listed,) = seen.views[0].alerts
    known = replace(an_alert(namespace="prod"), fingerprint=listed.fingerprint, labels=listed.labels)
    decisions, memory = reconcile(
        [an_incident(known)], seen, Memory(), source="main", now=datetime.now(UTC), mutings={}
    )
    muting = Muting(silences=(silence_id,), alerts=1, firing=1)
    assert decisions == (Muted(IncidentNumber(417), muting),)
    assert memory.own_urls == {"https://alertmanager.example.org"}


async def test_two_peers_share_silences_and_their_alerts_are_merged(tmp_path, cluster):
    async with a_running_pair(tmp_path, CONFIG) as (first, second):
        ours = cluster(first.url, second.url)
        await first.post(a_posted_alert(pod="both"), a_posted_alert(pod="first"))
        await second.post(a_posted_alert(pod="both"))
        assert {alert.labels["pod"] for alert in await ours.list_alerts()} == {"both", "first"}
        silence_id = await ours.create_silence(a_silence())
        await until(cluster(second.url).list_silences)
        await first.stop()
        assert (await ours.get_silence(silence_id)).created_by.startswith("harold")
        seen = await ours.look()
        assert isinstance(seen, Snapshot)
        assert (len(seen.views), seen.missing) == (1, 1)
        assert await ours.create_silence(a_silence('alertname="Disk"'))


def hearing_late(url: str, *, of: int) -> Handler:
    """A peer that is asked this often for a silence before it knows it."""
    asked = []

    async def handle(request: web.Request) -> web.Response:
        if request.path.startswith("/api/v2/silence/"):
            asked.append(request.path)
            if len(asked) <= of:
                return web.json_response({}, status=404)
        async with aiohttp.ClientSession() as session, session.get(f"{url}{request.path}") as response:
            return web.json_response(await response.json(), status=response.status)

    return handle


async def test_a_silence_is_made_once_every_peer_has_heard_of_it(real, cluster):
    async with served(hearing_late(real.url, of=3)) as late:
        silence_id = await cluster(real.url, late).create_silence(a_silence())
        assert (await cluster(late).get_silence(silence_id)).id == silence_id


async def test_a_peer_that_hears_of_nothing_is_not_waited_for_long(real, cluster, monkeypatch):
    # Nobody tells how long gossip may take, and a test does not wait for it.
    monkeypatch.setattr(client, "_GOSSIP_TAKES", 0.2)
    dead = f"http://127.0.0.1:{free_port()}"
    async with served(hearing_late(real.url, of=1_000_000)) as deaf:
        assert await cluster(real.url, deaf, dead).create_silence(a_silence())


async def test_a_dead_alertmanager_is_unavailable(cluster):
    ours = cluster(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="Alertmanager main cannot be reached"):
        await ours.list_alerts()
    seen = await ours.look()
    assert isinstance(seen, Unreachable)
    assert "main" in seen.why


async def test_one_that_hangs_is_unavailable_after_its_deadline(cluster):
    done = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await done.wait()
        return web.Response()

    async with served(hang) as url:
        with pytest.raises(UnavailableError, match=r"does not answer within 0\.2 s"):
            await cluster(url, timeout="200ms").list_silences()
        done.set()


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, BrokenError, "credentials"),
        (403, BrokenError, "credentials"),
        (404, BrokenError, "address or path"),
        (429, UnavailableError, "429"),
        (503, UnavailableError, "503"),
        (200, BrokenError, "not understood"),
    ],
)
async def test_each_failure_has_its_kind(cluster, status, error, said):
    async with served(answering(status, {"message": "secret-host.internal"})) as url:
        with pytest.raises(error, match=said) as caught:
            await cluster(url).list_alerts()
        assert "secret-host" not in str(caught.value)


async def test_a_redirect_of_a_change_is_not_followed(cluster):
    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/login"})

    async with served(redirect) as url:
        with pytest.raises(BrokenError, match="302"):
            await cluster(url).create_silence(a_silence())


async def test_the_second_peer_answers_for_a_broken_first(cluster):
    async with (
        served(answering(500, "broken")) as broken,
        served(answering(404, by_name={"status": STATUS, "alerts": [AN_ALERT]})) as fine,
    ):
        ours = cluster(broken, fine)
        assert (await ours.get_status()).cluster is ClusterState.READY
        assert [alert.fingerprint for alert in await ours.list_alerts()] == ["f1"]
        seen = await ours.look()
        assert isinstance(seen, Snapshot)
        assert seen.missing == 1


async def test_a_silence_that_a_dying_peer_still_made_is_not_made_twice(real, cluster):
    async def forward_and_fail(request: web.Request) -> web.Response:
        if request.method == "POST":
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{real.url}{request.path}", json=await request.json()) as response,
            ):
                assert response.status == 200
        return web.Response(status=502)

    async with served(forward_and_fail) as dying:
        ours = cluster(dying, real.url)
        silence_id = await ours.create_silence(a_silence())
        assert [silence.id for silence in await ours.list_silences()] == [silence_id]


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"token": "example-token"}, "Bearer example-token"),
        ({"basic": {"username": "am", "password": "example"}}, "Basic YW06ZXhhbXBsZQ=="),
        ({}, None),
    ],
)
async def test_credentials_and_prefix_are_sent(cluster, settings, header):
    asked = []

    async def note(request: web.Request) -> web.Response:
        asked.append((request.path, request.headers.get("Authorization")))
        return web.json_response([])

    async with served(note) as url:
        await cluster(f"{url}/api/alertmanager/grafana", **settings).list_alerts()
    assert asked == [("/api/alertmanager/grafana/api/v2/alerts", header)]


async def test_the_tenant_of_a_mimir_is_named(cluster):
    asked = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.headers.get("X-Scope-OrgID"))
        return web.json_response([])

    async with served(note) as url:
        await cluster(f"{url}/alertmanager", tenant="team-a").list_alerts()
        await cluster(f"{url}/alertmanager").list_alerts()
    assert asked == ["team-a", None]


@pytest.mark.parametrize(
    ("settings", "is_uninvited"),
    [
        ({"kind": "grafana"}, True),
        ({"kind": "grafana", "token": "example-token"}, False),
        ({"kind": "alertmanager"}, False),
    ],
)
async def test_a_grafana_that_we_have_no_token_for_is_not_expected_to_answer(cluster, settings, is_uninvited):
    async with served(answering(401, {})) as url:
        seen = await cluster(url, **settings).look()
    assert isinstance(seen, Unreachable)
    assert seen.is_uninvited is is_uninvited


async def test_a_grafana_is_asked_below_its_prefix_though_its_own_address_is_configured(cluster):
    asked = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response([])

    async with served(note) as url:
        await cluster(url, kind="grafana").list_alerts()
    assert asked == ["/api/alertmanager/grafana/api/v2/alerts"]
