"""Silences from the preview to their end, against the real Alertmanager."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest

from bot.access.model import Grant, Policy
from bot.alerts.model.incident import IncidentNumber
from bot.alerts.peers.authors import created_by
from bot.alerts.showing import REMIND
from bot.alerts.silences.model import Breadth, Limits, SilencePolicy, Verdict, Width, Written
from bot.alerts.silences.service import Asked, Ended, Made, Misunderstood, Previewed
from bot.alerts.storm import store as storm_store
from bot.core.errors import (
    ConflictError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from bot.journal.words import change_words
from tests.support.alerting import ALERTS, OPERATORS, a_route, open_rooms
from tests.support.peers import a_posted_alert, a_running_pair, a_running_peer, until
from tests.support.people import a_person
from tests.support.ports import free_port
from tests.support.silencing import Silencing, delivered

ADA = a_person("Ada", user="111", roles=[OPERATORS])
BEN = a_person("Ben", user="222", roles=[OPERATORS])
EVE = a_person("Eve", user="333")
ONE, TWO = IncidentNumber(1), IncidentNumber(2)
SHOP = {"alertname": "DiskFull", "namespace": "shop"}
BLOG = {"alertname": "DiskFull", "namespace": "blog"}


@pytest.fixture
async def peer(tmp_path):
    async with a_running_peer(tmp_path / "am") as running:
        await running.post(
            a_posted_alert("DiskFull", namespace="shop", pod="a"),
            a_posted_alert("DiskFull", namespace="shop", pod="b"),
            a_posted_alert("DiskFull", namespace="blog", pod="a", severity="critical"),
        )
        yield running


@pytest.fixture
async def world(database, peer):
    async with opened(database, {"main": peer.url}, peer) as made:
        yield made


@contextlib.asynccontextmanager
async def opened(database, urls, peer, *routes):
    """Two incidents, and the service over the Alertmanagers at these addresses."""
    rooms = await open_rooms(database, *routes)
    async with aiohttp.ClientSession() as session:
        made = Silencing(rooms, session, urls)
        await rooms.receive(await delivered(peer, group=SHOP), await delivered(peer, group=BLOG))
        yield made


async def previewed(world, number=ONE, *, by=ADA, matchers=None, length="2h", comment="moving disks"):
    draft = await world.silences.propose(number, by=by)
    written = matchers or "\n".join(map(str, draft.matchers))
    read = world.silences.read(draft, matchers=written, length=length, comment=comment)
    return await world.silences.preview(read, by=by)


async def silenced(world, number=ONE, **asked):
    made = await world.silences.create((await previewed(world, number, **asked)).token, by=ADA)
    assert isinstance(made, Made)
    return made.created["main"]


async def quiet(peer):
    """The pods whose alerts a silence hides there, by namespace."""
    return sorted(
        (each["labels"]["namespace"], each["labels"]["pod"])
        for each in await peer.alerts()
        if each["status"]["silencedBy"]
    )


async def active(world):
    return [each for each in await world.cluster().list_silences() if each.state.value == "active"]


async def test_a_preview_counts_what_the_group_hides_now(world):
    shown = await previewed(world)
    assert (shown.preview.alerts, shown.preview.critical, shown.preview.others) == (2, 0, ())
    assert shown.preview.incident == ONE
    assert shown.judgement.verdict is Verdict.FINE
    assert await active(world) == []


async def test_a_wider_one_names_the_other_incidents_and_asks_for_confirmation(world):
    shown = await previewed(world, matchers="alertname=DiskFull")
    assert (shown.preview.alerts, shown.preview.critical, shown.preview.others) == (3, 1, (TWO,))
    assert shown.judgement.verdict is Verdict.CONFIRM
    assert shown.judgement.reasons == (Breadth.CRITICAL,)


async def test_a_choice_widens_a_draft(world):
    shown = await previewed(world)
    wider = await world.silences.widen(shown.token, Width.ALERT, by=ADA)
    assert wider.preview.alerts == 3
    assert wider.token != shown.token
    assert [str(matcher) for matcher in wider.draft.matchers] == ['alertname="DiskFull"']


async def test_what_was_made_hides_it_there_and_names_who_and_why(world, peer):
    made_id = await silenced(world)
    assert await quiet(peer) == [("shop", "a"), ("shop", "b")]
    [silence] = await active(world)
    assert silence.id == made_id
    assert silence.created_by == created_by(ADA)
    assert "(Discord 111)" in silence.created_by
    assert silence.comment.startswith("moving disks · #1 ")
    assert (await world.rooms.incident(1)).muting.silences == (made_id,)
    assert (await world.rooms.incident(1)).is_muted
    assert (await world.rooms.incident(2)).muting is None
    assert "alerts:silence" in await world.rooms.actions()
    assert world.polls == 1
    assert made_id in await peer.amtool("silence", "query", "-q")


async def test_the_next_look_finds_nothing_new_in_what_was_made_here(world):
    await world.look()
    await silenced(world)
    await world.look()
    world.rooms.clock.advance(timedelta(seconds=1))
    await world.look()
    assert world.told == []


@pytest.mark.parametrize("matchers", ['alertname="DiskFull", namespace="shop"', 'alertname="DiskFull"'])
async def test_what_is_quiet_before_and_after_a_change_is_quiet_all_along(database, peer, matchers):
    route = a_route(mention=("role:oncall",), remind=timedelta(minutes=15))
    async with opened(database, {"main": peer.url}, peer, route) as world:
        for number in (ONE, TWO):
            await silenced(world, number)
        rooms = world.rooms
        async with rooms.database.transaction() as tx:
            # While one is on, whoever is to be called for an incident that is heard again is written down.
            await rooms.storms.force(tx, ALERTS, by=ADA)
        draft, _ = await world.silences.reopen("i/1", by=ADA)
        changed = world.silences.read(draft, matchers=matchers, length="4h", comment="longer")
        made = await world.silences.create((await world.silences.preview(changed, by=ADA)).token, by=ADA)
        assert isinstance(made, Made)
        assert (await rooms.incident(1)).muting.silences == (made.created["main"],)
        async with rooms.database.reading() as tx:
            assert await rooms.timers.find_due_at(tx, REMIND, "1/alerts") is None
            assert [each for each in await storm_store.list_owed(tx, ALERTS) if each.owed] == []


async def test_a_silence_stays_that_of_who_made_it_and_names_who_changed_it_last(world):
    await silenced(world)
    [first] = await active(world)
    assert first.comment.startswith("moving disks · #1 ")
    await world.silences.extend("i/1", "1h", by=BEN)
    [extended] = await active(world)
    assert extended.created_by == created_by(ADA)
    assert extended.comment == f"{first.comment} · changed by Ben (Discord 222)"
    await world.silences.extend("i/1", "1h", by=BEN)
    assert [each.comment for each in await active(world)] == [extended.comment]
    await world.silences.extend("i/1", "1h", by=ADA)
    assert [each.comment for each in await active(world)] == [first.comment]


async def test_a_silence_made_elsewhere_stays_that_of_who_made_it(world, peer):
    silence = await peer.amtool("silence", "add", "namespace=shop", "--comment=upgrade", "--author=jane")
    await world.look()
    await world.silences.extend(f"s/{silence}", "1h", by=ADA)
    [extended] = await active(world)
    assert (extended.created_by, extended.comment) == ("jane", "upgrade · changed by Ada (Discord 111)")


async def test_a_list_that_is_older_than_a_silence_does_not_lose_it(world):
    await world.look()
    listed, taken_at = await world.cluster().list_silences(), world.rooms.clock.now()
    world.rooms.clock.advance(timedelta(milliseconds=10))
    await silenced(world)
    async with world.rooms.database.transaction() as tx:
        await world.silences.follow(tx, "main", listed, taken_at=taken_at)
    assert world.told == []
    assert len(await world.silences.find("i/1", by=ADA)) == 1


async def test_two_clicks_make_one_silence(world):
    shown = await previewed(world)
    outcomes = await asyncio.gather(
        *(world.silences.create(shown.token, by=ADA) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(outcome) for outcome in outcomes if isinstance(outcome, Exception)) == [ConflictError]
    assert len(await active(world)) == 1
    with pytest.raises(ConflictError, match="asked for already"):
        await world.silences.create(shown.token, by=ADA)


async def test_what_is_confirmed_is_made_as_it_was_shown(world, peer):
    shown = await previewed(world, matchers="alertname=DiskFull")
    assert isinstance(await world.silences.create(shown.token, by=ADA), Made)
    assert len(await quiet(peer)) == 3
    assert (await world.rooms.incident(2)).is_muted


async def test_what_became_broader_since_the_preview_is_shown_again(world, peer):
    shown = await previewed(world, matchers='namespace="shop"')
    await peer.post(a_posted_alert("Down", namespace="shop", severity="critical"))
    again = await world.silences.create(shown.token, by=ADA)
    assert isinstance(again, Previewed)
    assert again.judgement.reasons == (Breadth.CRITICAL,)
    assert await active(world) == []
    assert isinstance(await world.silences.create(again.token, by=ADA), Made)


async def test_what_the_policy_refuses_cannot_be_made(world):
    world.policy = SilencePolicy(refuse=Limits(critical=True))
    shown = await previewed(world, TWO)
    assert shown.judgement.verdict is Verdict.REFUSE
    assert isinstance(await world.silences.create(shown.token, by=ADA), Previewed)
    assert await active(world) == []


async def test_who_may_not_is_refused_and_that_is_recorded(world):
    with pytest.raises(NotAllowedError):
        await world.silences.propose(ONE, by=EVE)
    shown = await previewed(world)
    with pytest.raises(NotFoundError):
        await world.silences.create(shown.token, by=BEN)
    assert await active(world) == []


async def test_making_and_ending_a_silence_are_changes_in_its_namespace(world):
    before = world.rooms.clock.now()
    made = await silenced(world, matchers="alertname=DiskFull, namespace=shop")
    await world.silences.end(f"s/{made}", by=ADA)
    with pytest.raises(NotFoundError):
        await world.silences.end(f"s/{made}", by=ADA)

    async with world.rooms.database.reading() as tx:
        changes = await world.rooms.journal.list_changes(tx, namespaces=["shop"], since=before)

    assert [change.entry.action for change in changes] == ["alerts:unsilence", "alerts:silence"]


async def test_a_grant_for_a_namespace_does_not_reach_into_another_one(world):
    world.rooms.access.use(
        Policy(
            (
                Grant(
                    name="shop",
                    roles=frozenset({OPERATORS}),
                    may=("alerts:*",),
                    on=("namespace:shop",),
                ),
            )
        )
    )
    assert (await previewed(world)).preview.alerts == 2
    with pytest.raises(NotAllowedError, match="namespace:blog"):
        await previewed(world, matchers="alertname=DiskFull")


async def test_alerts_without_an_incident_are_asked_for_as_well(world, peer):
    await peer.post(a_posted_alert("Stray", namespace="bank"))
    grant = Grant(name="s", roles=frozenset({OPERATORS}), may=("alerts:*",), on=("namespace:shop",))
    world.rooms.access.use(Policy((grant,)))
    with pytest.raises(NotAllowedError, match="source:main"):
        await previewed(world, matchers='alertname=~"DiskFull|Stray", namespace=~"shop|bank"')


@pytest.mark.parametrize(
    ("matchers", "length", "said"),
    [
        ("", "2h", "The matchers"),
        ('pod=~"("', "2h", "The matchers"),
        ("alertname=A", "soon", "The length"),
        ("alertname=A", "until yesterday", "The length"),
    ],
)
async def test_what_is_not_understood_is_said_with_its_part(world, matchers, length, said):
    draft = await world.silences.propose(ONE, by=ADA)
    with pytest.raises(InvalidError, match=said):
        world.silences.read(draft, matchers=matchers, length=length, comment="")


async def test_what_was_typed_is_kept_for_its_author_alone(world):
    draft = await world.silences.propose(ONE, by=ADA)
    written = Written(matchers="alertname=DiskFull", length="soon", comment="a long story")
    kept = await world.silences.submit(draft, written, by=ADA)
    assert isinstance(kept, Misunderstood)
    assert kept.why.startswith("The length is not understood")
    assert await world.silences.reopen(kept.token, by=ADA) == (draft, written)
    with pytest.raises(NotFoundError):
        await world.silences.reopen(kept.token, by=BEN)
    with pytest.raises(ConflictError):
        await world.silences.create(kept.token, by=ADA)


async def test_extending_counts_from_the_end_and_keeps_the_id(world):
    made_id = await silenced(world)
    [before] = await active(world)
    world.rooms.clock.advance(timedelta(minutes=-2))
    made = await world.silences.extend(f"s/{made_id}", "1h", by=BEN)
    assert isinstance(made, Made)
    [after] = await active(world)
    assert after.id == made_id
    assert after.ends_at - before.ends_at == timedelta(hours=1)
    assert after.comment.startswith(before.comment)
    assert world.told == []


async def test_an_extension_beyond_the_limit_is_previewed_first(world):
    made_id = await silenced(world)
    shown = await world.silences.extend(f"s/{made_id}", "1d", by=ADA)
    assert isinstance(shown, Previewed)
    assert shown.judgement.reasons == (Breadth.LONG,)
    assert isinstance(await world.silences.create(shown.token, by=ADA), Made)
    assert len(await active(world)) == 1


async def test_changed_matchers_make_another_silence_in_its_place(world, peer):
    await world.look()
    made_id = await silenced(world)
    draft, _ = await world.silences.reopen("i/1", by=ADA)
    narrower = world.silences.read(
        draft, matchers='alertname="DiskFull", namespace="shop", pod="a"', length=None, comment="only a"
    )
    shown = await world.silences.preview(narrower, by=ADA)
    made = await world.silences.create(shown.token, by=ADA)
    assert made.created["main"] != made_id
    assert await quiet(peer) == [("shop", "a")]
    muting = (await world.rooms.incident(1)).muting
    assert (muting.silences, muting.is_whole) == ((made.created["main"],), False)
    world.rooms.clock.advance(timedelta(seconds=1))
    await world.look()
    assert world.told == []


async def test_ending_brings_the_alerts_back(world, peer):
    await world.look()
    await silenced(world)
    ended = await world.silences.end("i/1", by=BEN)
    assert len(ended.ended) == 1
    assert await quiet(peer) == []
    assert (await world.rooms.incident(1)).muting is None
    assert (await world.rooms.actions())[-1] == "alerts:unsilence"
    world.rooms.clock.advance(timedelta(seconds=1))
    await world.look()
    assert world.told == []
    with pytest.raises(NotFoundError, match="No silence keeps #1 quiet"):
        await world.silences.end("i/1", by=BEN)


async def test_ending_what_hides_another_incident_waits_for_a_yes_to_just_that(world):
    made_id = await silenced(world, matchers="alertname=DiskFull")
    asked = await world.silences.end("i/1", by=BEN)
    assert isinstance(asked, Asked)
    assert (asked.heard.alerts, asked.heard.critical, asked.heard.incidents) == (1, 1, (TWO,))
    of_the_other = await world.silences.end("i/2", by=BEN)
    assert (of_the_other.heard.alerts, of_the_other.heard.incidents) == (2, (ONE,))
    assert isinstance(await world.silences.end("i/1", by=BEN, told=of_the_other.mark), Asked)
    assert [each.id for each in await active(world)] == [made_id]
    assert isinstance(await world.silences.end("i/1", by=BEN, told=asked.mark), Ended)
    assert await active(world) == []


async def test_who_may_not_end_it_is_not_asked_either(world):
    await silenced(world, matchers="alertname=DiskFull")
    with pytest.raises(NotAllowedError):
        await world.silences.end("i/1", by=EVE)


async def test_of_a_silence_that_stands_on_no_card_the_one_it_was_made_for_is_none_of_the_others(world):
    made_id = await silenced(world, matchers="alertname=DiskFull")
    asked = await world.silences.end(f"s/{made_id}", by=BEN)
    assert (asked.heard.besides, asked.heard.incidents) == (ONE, (TWO,))


async def test_a_silence_that_hides_one_incident_ends_at_once_unless_it_is_ended_for_another(world):
    made_id = await silenced(world, matchers="namespace=blog")
    asked = await world.silences.end("i/1", by=BEN)
    assert (asked.heard.besides, asked.heard.incidents) == (ONE, (TWO,))
    assert isinstance(await world.silences.end(f"s/{made_id}", by=BEN), Ended)
    assert await active(world) == []


async def test_an_alertmanager_that_does_not_answer_leaves_nothing_behind(world, peer):
    shown = await previewed(world)
    await peer.stop()
    with pytest.raises(UnavailableError, match="Nothing was silenced"):
        await previewed(world)
    with pytest.raises(UnavailableError, match="Nothing was silenced"):
        await world.silences.create(shown.token, by=ADA)
    assert (await world.rooms.incident(1)).muting is None
    with pytest.raises(NotFoundError):
        await world.silences.find("i/1", by=ADA)


async def test_a_silence_that_cannot_be_ended_goes_on(world, peer):
    await silenced(world)
    await peer.stop()
    with pytest.raises(UnavailableError, match="It is not ended"):
        await world.silences.end("i/1", by=ADA)
    assert (await world.rooms.incident(1)).is_muted
    assert len(await world.silences.find("i/1", by=ADA)) == 1


async def test_a_source_that_is_not_configured_is_said(world):
    world.urls = {}
    with pytest.raises(NotFoundError, match="does not name"):
        await world.silences.propose(ONE, by=ADA)


async def test_an_incident_that_is_kept_no_more_is_told_as_everywhere(world):
    with pytest.raises(NotFoundError) as of_silences:
        await world.silences.propose(IncidentNumber(77), by=ADA)
    with pytest.raises(NotFoundError) as of_incidents:
        await world.rooms.alerts.get(IncidentNumber(77), by=ADA)
    assert str(of_silences.value) == str(of_incidents.value)


async def test_every_alertmanager_that_sent_it_gets_the_silence(database, peer, tmp_path):
    async with (
        a_running_peer(tmp_path / "second") as second,
        opened(database, {"main": peer.url, "second": second.url}, peer) as world,
    ):
        await second.post(*(a_posted_alert("DiskFull", namespace="shop", pod=pod) for pod in "ab"))
        await world.rooms.receive(await delivered(second, group=SHOP), source="second")
        shown = await previewed(world)
        made = await world.silences.create(shown.token, by=ADA)
        assert set(made.created) == {"main", "second"}
        assert len(await quiet(second)) == 2
        assert len((await world.silences.end("i/1", by=ADA)).ended) == 2
        assert await quiet(second) == []


async def test_where_one_of_two_is_down_the_other_is_silenced_and_trying_again_does_the_rest(
    database, peer, tmp_path
):
    port = free_port()
    urls = {"main": peer.url, "second": f"http://127.0.0.1:{port}"}
    async with opened(database, urls, peer) as world:
        await world.rooms.receive(await delivered(peer, group=SHOP), source="second")
        shown = await previewed(world)
        assert shown.preview.silent == ("second",)
        made = await world.silences.create(shown.token, by=ADA)
        assert (set(made.created), set(made.failed)) == ({"main"}, {"second"})
        async with a_running_peer(tmp_path / "second", port=port):
            again = await world.silences.create(shown.token, by=ADA)
            assert set(again.created) == {"main", "second"}
        assert again.created["main"] == made.created["main"]
        assert len(await active(world)) == 1


async def test_while_one_of_a_pair_is_down_the_other_silences_extends_and_ends(database, tmp_path):
    async with a_running_pair(tmp_path) as (first, second):
        for each in (first, second):
            await each.post(a_posted_alert("DiskFull", namespace="shop", pod="a"))
        urls = {"main": (first.url, second.url)}
        async with opened(database, urls, first) as world:
            made_id = await silenced(world)
            await until(lambda: quiet(second))
            await first.stop()
            extended = await world.silences.extend("i/1", "1h", by=BEN)
            assert extended.created == {"main": made_id}
            assert len((await world.silences.end("i/1", by=ADA)).ended) == 1
            assert await quiet(second) == []
            again = await silenced(world)
            assert await quiet(second) == [("shop", "a")]
            assert (await world.rooms.incident(1)).muting.silences == (again,)


async def test_what_was_expired_elsewhere_can_be_ended_and_extended_all_the_same(world, peer):
    await peer.amtool("silence", "expire", await silenced(world))
    assert len((await world.silences.end("i/1", by=ADA)).ended) == 1
    assert (await world.rooms.incident(1)).muting is None
    before = await silenced(world)
    await peer.amtool("silence", "expire", before)
    made = await world.silences.extend("i/1", "1h", by=ADA)
    assert made.created["main"] != before
    assert await quiet(peer) == [("shop", "a"), ("shop", "b")]
    assert (await world.rooms.incident(1)).muting.silences == (made.created["main"],)


async def test_what_alertmanager_lost_is_made_anew_by_whoever_extends_it(database, tmp_path):
    port, urls = free_port(), {}
    alerts = [a_posted_alert("DiskFull", namespace="shop", pod=pod) for pod in "ab"]
    async with a_running_peer(tmp_path / "before", port=port) as peer:
        await peer.post(*alerts)
        urls["main"] = peer.url
        async with opened(database, urls, peer) as world:
            lost = await silenced(world)
            await peer.stop()
            async with a_running_peer(tmp_path / "after", port=port) as empty:
                await empty.post(*alerts)
                made = await world.silences.extend("i/1", "1h", by=BEN)
                assert len(await quiet(empty)) == 2
            assert made.created["main"] != lost
            assert (await world.rooms.incident(1)).muting.silences == (made.created["main"],)


async def test_two_who_end_a_silence_at_once_are_both_told_and_it_is_written_down_once(world, peer):
    await silenced(world)
    first, second = await asyncio.gather(*(world.silences.end("i/1", by=by) for by in (ADA, BEN)))
    assert (len(first.ended), len(second.ended)) == (1, 1)
    assert await quiet(peer) == []
    assert (await world.rooms.actions()).count("alerts:unsilence") == 1


async def test_two_who_extend_a_silence_at_once_extend_it_once(world):
    made_id = await silenced(world)
    [before] = await active(world)
    made = await asyncio.gather(*(world.silences.extend("i/1", "1h", by=by) for by in (ADA, BEN)))
    assert [each.created for each in made] == [{"main": made_id}] * 2
    [after] = await active(world)
    assert after.ends_at - before.ends_at == timedelta(hours=1)


async def test_what_others_do_is_told_once(world, peer):
    await world.look()
    made_id = await peer.amtool(
        "silence", "add", "alertname=DiskFull", "-c", "by hand", "-a", "carol", "-d", "1h"
    )
    world.rooms.clock.advance(timedelta(seconds=5))
    await world.look()
    await world.look()
    await peer.amtool("silence", "expire", made_id)
    world.rooms.clock.advance(timedelta(seconds=5))
    await world.look()
    assert [title for _, title, _ in world.told] == ["A silence began", "A silence was ended early"]
    assert "carol" in world.told[0][2]
    async with world.rooms.database.reading() as tx:
        since = world.rooms.clock.now() - timedelta(hours=1)
        changes = await world.rooms.journal.read_changes(tx, since=since)
    assert [change_words(change).partition(" until")[0] for change in changes] == [
        'Somebody ended the silence of `alertname="DiskFull"` (in Alertmanager)',
        '**carol** silenced `alertname="DiskFull"`',
    ]


async def test_an_end_that_is_near_gets_a_message_with_a_way_to_extend(world):
    world.audit = 909
    await world.look()
    made_id = await silenced(world, length="1h")
    world.rooms.clock.advance(timedelta(minutes=50))
    await world.look()
    card = await world.rooms.card("silence-ends", made_id, 909)
    assert card is not None
    assert world.told == []


async def test_an_expired_preview_is_said(world):
    shown = await previewed(world)
    world.rooms.clock.advance(timedelta(hours=1))
    with pytest.raises(NotFoundError, match="expired"):
        await world.silences.create(shown.token, by=ADA)


async def test_drafts_that_differ_in_nothing_but_time_have_different_tokens(world):
    first, second = await previewed(world), await previewed(world)
    assert first.token != second.token
    assert replace(first.draft, ends_at=second.draft.ends_at) == second.draft
