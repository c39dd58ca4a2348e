"""How people silence from Discord, with a real Alertmanager behind it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from bot.access.model import Policy
from bot.alerts.model.notification import OURSELVES
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.alerts.silences.model import Limits, SilencePolicy
from tests.support.alerting import a_route
from tests.support.alerts import a_body, a_notification, an_alert, an_entry
from tests.support.peers import a_posted_alert, a_running_peer
from tests.support.silencing import delivered
from tests.support.world import buttons_of, colour_of, words_of

GROUP = {"alertname": "DiskFull", "namespace": "shop"}


@pytest.fixture
async def peer(tmp_path):
    async with a_running_peer(tmp_path / "am") as running:
        yield running


@pytest.fixture
async def told(town, peer):
    """The card of an incident whose Alertmanager can be asked."""
    world = town.world
    world.clock.advance(datetime.now(UTC) - world.clock.now())
    settings = AlertmanagerSettings.model_validate({"name": "main", "urls": [peer.url], "timeout": "5s"})
    async with aiohttp.ClientSession() as session:
        world.clusters["main"] = AlertmanagerCluster(settings, session, world.clock)
        await peer.post(*(a_posted_alert("DiskFull", namespace="shop", pod=pod) for pod in "ab"))
        await world.receive(await delivered(peer, group=GROUP))
        yield peer


def card(town):
    return town.alerts.history()[0]


def left(dialog):
    """What the fields of a dialog hold before anybody types."""
    fields = [part["component"] for part in dialog.modal["components"]]
    return {field["custom_id"]: held(field) for field in fields}


def held(field):
    if "options" in field:
        return [option["value"] for option in field["options"] if option.get("default")]
    return field.get("value") or ""


async def hidden(peer):
    return [each for each in await peer.alerts() if each["status"]["silencedBy"]]


async def previewed(town, *, by=None, length="2h", matchers=None):
    person = by or town.alice
    dialog = await person.click(card(town), label="Silence…")
    changed = {"length": length, "comment": "moving disks"}
    if matchers is not None:
        changed["matchers"] = matchers
    return await person.submit_modal(dialog, {**left(dialog), **changed})


async def silenced(town):
    shown = await previewed(town)
    answer = await town.alice.click(shown.response, label="Silence")
    await town.world.settle()
    return answer


async def test_the_dialog_begins_with_the_group(town, told):
    dialog = await town.alice.click(card(town), label="Silence…")
    assert left(dialog)["matchers"] == 'alertname="DiskFull"\nnamespace="shop"'
    assert (left(dialog)["usual"], left(dialog)["length"]) == (["2h"], "")


async def test_what_it_would_hide_is_shown_privately_before_it_is_made(town, told):
    shown = await previewed(town)
    assert shown.ephemeral
    assert "It matches 2 firing alerts." in words_of(shown.response)
    assert list(buttons_of(shown.response)) == ["Silence", "Change"]
    assert await hidden(told) == []


async def test_a_silence_hides_it_there_and_its_card_says_until_when(town, told):
    answer = await silenced(town)
    assert "Silenced in `main` until" in words_of(answer.response)
    assert len(await hidden(told)) == 2
    shown = words_of(card(town))
    assert shown.startswith("### SILENCED · DiskFull")
    assert f"Silenced by <@{town.alice.id}> until <t:" in shown
    assert colour_of(card(town)) == 0x6E7681
    assert list(buttons_of(card(town))) == [
        *("Acknowledge", "Details"),
        *("Extend", "Change silence", "End silence"),
    ]
    link = f"https://discord.com/channels/{town.guild.id}/{town.alerts.id}/{card(town).id}"
    [silence] = await town.world.clusters["main"].list_silences()
    assert silence.comment.endswith(link)


async def test_each_timeline_tells_what_hides_its_incident(town, told):
    town.world.rooms.policy = replace(town.world.rooms.policy, routes=(a_route(thread=True),))
    for name in ("Group1", "Group2"):
        await told.post(a_posted_alert(name, namespace="shop"))
        await town.world.receive(await delivered(told, group={"alertname": name}))
    _, _, asked_on = [message for message in town.alerts.history() if message.components]
    dialog = await town.alice.click(asked_on, label="Silence…")
    shown = await town.alice.submit_modal(dialog, {**left(dialog), "matchers": "namespace=shop"})
    await town.alice.click(shown.response, label="Silence")
    await town.world.settle()
    dialog = await town.bob.click(asked_on, label="Extend")
    await town.bob.submit_modal(dialog, {"length": "1h"})
    question = await town.alice.click(asked_on, label="End silence")
    await town.alice.click(question.response, label="End all the same")
    await town.world.settle()
    first, second = (told_in(thread) for thread in town.alerts.threads)
    assert first == second
    begun, changed, ended = (line.partition(" until ")[0] for line in first[1:])
    assert begun == f'<@{town.alice.id}> silenced `namespace="shop"`'
    assert changed == f'<@{town.bob.id}> changed the silence of `namespace="shop"`'
    assert ended == f'<@{town.alice.id}> ended the silence of `namespace="shop"`'


def told_in(thread):
    """The lines of a timeline without their times."""
    [timeline] = thread.history()
    return [line.partition("> ")[2] for line in words_of(timeline).splitlines() if line.startswith("<t:")]


async def test_a_broad_one_has_to_be_confirmed(town, told):
    await told.post(a_posted_alert("DiskFull", namespace="blog", severity="critical"))
    shown = await previewed(town, matchers="alertname=DiskFull")
    assert "It silences 1 critical alert." in words_of(shown.response)
    assert list(buttons_of(shown.response)) == ["Silence all the same", "Change"]
    await town.alice.click(shown.response, label="Silence all the same")
    assert len(await hidden(told)) == 3


async def test_one_that_is_not_allowed_has_no_button_that_makes_it(town, told):
    shown = await previewed(town, length="60d")
    assert words_of(shown.response).startswith("### This silence is not allowed")
    assert list(buttons_of(shown.response)) == ["Change"]


async def test_a_choice_widens_the_preview_in_place(town, told):
    await told.post(a_posted_alert("DiskFull", namespace="blog"))
    shown = await previewed(town)
    wider = await town.alice.select(shown.response, ["alert"])
    assert "It matches 3 firing alerts." in words_of(wider.response)


async def test_who_may_not_is_told_privately(town, told):
    answer = await town.victor.click(card(town), label="Silence…")
    assert answer.ephemeral
    assert 'may: ["alerts:silence"]' in answer.response.content
    assert answer.modal is None


async def test_a_usual_length_is_chosen_and_what_is_typed_counts_more(town, told):
    dialog = await town.alice.click(card(town), label="Silence…")
    for typed, hours in (("", 4), ("90m", 1.5)):
        shown = await town.alice.submit_modal(dialog, {**left(dialog), "usual": ["4h"], "length": typed})
        ends_at = town.world.clock.now() + timedelta(hours=hours)
        assert f"Until <t:{int(ends_at.timestamp())}:f>" in words_of(shown.response)
        dialog = await town.alice.click(card(town), label="Silence…")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"length": "soon"}, "The length is not understood"),
        ({"matchers": 'alertname=~"("\nteam=db'}, "The matchers are not understood"),
        ({"matchers": 'team=~"a**"'}, "not understood"),
    ],
)
async def test_what_is_not_understood_is_given_back_for_another_try(town, told, typed, said):
    dialog = await town.alice.click(card(town), label="Silence…")
    whole = {**left(dialog), "comment": "a long story", **typed}
    answer = await town.alice.submit_modal(dialog, whole)
    assert answer.ephemeral
    assert said in words_of(answer.response)
    again = await town.alice.click(answer.response, label="Try again")
    assert {**left(again), "usual": ["2h"]} == whole
    corrected = {**left(again), "matchers": "alertname=DiskFull", "length": "1h"}
    shown = await town.alice.submit_modal(again, corrected)
    assert "It matches 2 firing alerts." in words_of(shown.response)


async def test_an_alertmanager_that_does_not_answer_is_said(town, told):
    await told.stop()
    answer = await previewed(town)
    assert "Nothing was silenced." in words_of(answer.response)
    again = await town.alice.click(answer.response, label="Try again")
    assert left(again)["comment"] == "moving disks"


async def test_a_silence_is_extended_and_ended_from_the_card(town, told):
    await silenced(town)
    before = (await town.world.clusters["main"].list_silences())[0].ends_at
    dialog = await town.alice.click(card(town), label="Extend")
    answer = await town.alice.submit_modal(dialog, {"length": "1h"})
    assert "Silenced in `main` until" in words_of(answer.response)
    [silence] = await town.world.clusters["main"].list_silences()
    assert silence.ends_at - before == timedelta(hours=1)
    ended = await town.bob.click(card(town), label="End silence")
    assert ended.response.content == "The silence is ended in `main`."
    await town.world.settle()
    assert await hidden(told) == []
    assert words_of(card(town)).startswith("### WARNING · DiskFull")


@pytest.fixture
async def wide(town, told):
    """A silence of what stands on the card that was asked, and of the critical alerts of another incident."""
    await told.post(*(a_posted_alert("NodeDown", node=node, severity="critical") for node in ("n1", "n2")))
    await town.world.receive(await delivered(told, group={"alertname": "NodeDown"}))
    shown = await previewed(town, matchers='alertname=~"DiskFull|NodeDown"')
    await town.alice.click(shown.response, label="Silence all the same")
    await town.world.settle()
    assert len(await hidden(told)) == 4


def newest(town, title):
    """The card of an incident as it is now."""
    [shown] = [message for message in town.alerts.history() if f"· {title}\n" in words_of(message)]
    return shown


@pytest.mark.parametrize("way", ["button", "command"])
async def test_what_else_will_be_heard_is_said_before_a_silence_ends(town, told, wide, way):
    if way == "button":
        question = await town.bob.click(newest(town, "DiskFull"), label="End silence")
    else:
        question = await town.bob.slash(town.alerts, "alerts unsilence", incident="1")
    assert question.ephemeral
    text = words_of(question.response)
    assert text.startswith(
        '### End this silence? It hides another incident\n`alertname=~"DiskFull|NodeDown"`'
    )
    assert "2 more alerts will be heard again, 2 of them critical." in text
    assert "It also hides #2 NodeDown." in text
    assert len(await hidden(told)) == 4
    assert list(buttons_of(question.response)) == ["End all the same", "Change"]
    ended = await town.bob.click(question.response, label="End all the same")
    assert words_of(ended.response) == "The silence is ended in `main`."
    await town.world.settle()
    assert await hidden(told) == []
    assert words_of(newest(town, "NodeDown")).startswith("### CRITICAL")


async def test_a_yes_to_one_silence_ends_no_other(town, told, wide):
    question = await town.bob.click(newest(town, "DiskFull"), label="End silence")
    dialog = await town.alice.click(newest(town, "DiskFull"), label="Change silence")
    typed = {**left(dialog), "matchers": 'alertname=~"DiskFull|Node.+"'}
    shown = await town.alice.submit_modal(dialog, typed)
    await town.alice.click(shown.response, label="Silence all the same")
    again = await town.bob.click(question.response, label="End all the same")
    assert words_of(again.response).startswith("### End this silence?")
    assert len(await hidden(told)) == 4
    await town.bob.click(again.response, label="End all the same")
    assert await hidden(told) == []


async def test_a_length_that_is_not_understood_is_given_back_to_whoever_extends(town, told):
    await silenced(town)
    [before] = await town.world.clusters["main"].list_silences()
    dialog = await town.alice.click(card(town), label="Extend")
    assert left(dialog) == {"length": "2h"}
    answer = await town.alice.submit_modal(dialog, {"length": "till the shift ends"})
    assert answer.ephemeral
    assert "The length is not understood: expected a length such as 90m" in words_of(answer.response)
    again = await town.alice.click(answer.response, label="Try again")
    assert again.modal["title"] == "Extend a silence"
    assert left(again) == {"length": "till the shift ends"}
    await town.alice.submit_modal(again, {"length": "1h"})
    [after] = await town.world.clusters["main"].list_silences()
    assert after.ends_at - before.ends_at == timedelta(hours=1)


async def test_a_length_is_given_back_where_alertmanager_does_not_answer(town, told):
    await silenced(town)
    dialog = await town.alice.click(card(town), label="Extend")
    await told.stop()
    answer = await town.alice.submit_modal(dialog, {"length": "90m"})
    assert "Nothing was silenced." in words_of(answer.response)
    again = await town.alice.click(answer.response, label="Try again")
    assert left(again) == {"length": "90m"}


async def test_a_silence_whose_change_is_not_understood_keeps_its_end(town, told):
    await silenced(town)
    [before] = await town.world.clusters["main"].list_silences()
    town.world.clock.advance(timedelta(minutes=5))
    dialog = await town.alice.click(card(town), label="Change silence")
    typed = {**left(dialog), "length": "soon", "comment": "a long story"}
    answer = await town.alice.submit_modal(dialog, typed)
    again = await town.alice.click(answer.response, label="Try again")
    assert left(again) == {**typed, "usual": []}
    shown = await town.alice.submit_modal(again, {**left(again), "length": ""})
    assert f"Until <t:{int(before.ends_at.timestamp())}:f>" in words_of(shown.response)


async def test_a_silence_is_changed_from_the_card(town, told):
    await silenced(town)
    [before] = await town.world.clusters["main"].list_silences()
    dialog = await town.alice.click(card(town), label="Change silence")
    assert left(dialog)["matchers"] == 'alertname="DiskFull"\nnamespace="shop"'
    assert (left(dialog)["usual"], left(dialog)["comment"]) == (["as it is"], before.comment)
    shown = await town.alice.submit_modal(dialog, {**left(dialog), "matchers": "alertname=DiskFull\npod=a"})
    await town.alice.click(shown.response, label="Silence")
    await town.world.settle()
    assert [each["labels"]["pod"] for each in await hidden(told)] == ["a"]
    assert words_of(card(town)).startswith("### WARNING · DiskFull")
    assert ", 1 of 2 alerts" in words_of(card(town))


async def test_of_several_silences_of_a_card_one_is_chosen_to_be_changed(town, told):
    await silenced(town)
    for pod in "ab":
        dialog = await town.alice.slash(town.alerts, "alerts silence", incident="1")
        shown = await town.alice.submit_modal(dialog, {**left(dialog), "matchers": f"pod={pod}"})
        await town.alice.click(shown.response, label="Silence")
    await town.world.settle()
    answer = await town.alice.click(card(town), label="Change silence")
    assert answer.ephemeral
    assert list(buttons_of(answer.response)) == ["Extend", "Change", "End now"]


async def test_what_may_not_be_silenced_is_given_back_to_be_narrowed(town, told):
    await told.post(a_posted_alert("DiskFull", namespace="blog"))
    [operators, *_] = town.world.rooms.access.policy.grants
    town.world.rooms.access.use(Policy((replace(operators, on=("namespace:shop",)),)))
    dialog = await town.alice.click(card(town), label="Silence…")
    typed = {**left(dialog), "matchers": "alertname=DiskFull", "comment": "a long story"}
    answer = await town.alice.submit_modal(dialog, typed)
    assert "alerts:silence" in words_of(answer.response)
    again = await town.alice.click(answer.response, label="Try again")
    assert left(again) == typed


async def test_commands_do_the_same(town, told):
    dialog = await town.alice.slash(
        town.alerts, "alerts silence", incident="1", length="30m", comment="patching"
    )
    assert (left(dialog)["usual"], left(dialog)["comment"]) == (["30m"], "patching")
    shown = await town.alice.submit_modal(dialog, left(dialog))
    await town.alice.click(shown.response, label="Silence")
    assert len(await hidden(told)) == 2
    answer = await town.alice.slash(town.alerts, "alerts unsilence", incident="1")
    assert answer.response.content == "The silence is ended in `main`."
    assert await hidden(told) == []


async def test_of_incidents_only_those_that_are_silenced_are_offered_to_be_heard_again(town, told):
    await told.post(a_posted_alert("NodeDown", node="n1"))
    await town.world.receive(await delivered(told, group={"alertname": "NodeDown"}))
    await silenced(town)
    choices = await town.alice.autocomplete(town.alerts, "alerts unsilence", "incident", "")
    assert [choice["value"] for choice in choices] == ["1"]
    answer = await town.alice.slash(town.alerts, "alerts unsilence", incident="2")
    assert answer.response.content == "No silence keeps #2 quiet now."
    assert len(town.refusals()) == 1


async def test_an_end_that_is_near_is_told_with_a_way_to_extend(town, told):
    world = town.world
    await silenced(town)
    listed = await world.clusters["main"].list_silences()
    for minutes in (1, 110):
        world.clock.advance(timedelta(minutes=minutes))
        async with world.rooms.database.transaction() as tx:
            await world.silences.follow(tx, "main", listed, taken_at=world.clock.now())
        await world.settle()
    [news] = town.audit.history()
    assert "A silence is about to end" in words_of(news)
    assert list(buttons_of(news)) == ["Extend", "Change", "End now"]


async def test_an_incident_of_an_unknown_sender_says_that_it_cannot_be_silenced(town):
    await town.world.receive(a_body(an_entry()))
    answer = await town.alice.click(card(town), label="Silence…")
    assert "does not name" in answer.response.content


@pytest.fixture
async def storm(town, told):
    """The digest of more incidents than a channel takes, all of one cluster but of many names."""
    names = [f"Group{number:02}" for number in range(20)]
    await told.post(*(a_posted_alert(name, cluster="blue", pod=name) for name in names))
    await town.world.receive(*[await delivered(told, group={"alertname": name}) for name in names])
    [digest] = [m for m in town.alerts.history() if words_of(m).startswith("### STORM")]
    return digest


COMMON = "Silence by common labels…"


async def test_a_storm_is_silenced_by_what_its_alerts_have_in_common(town, told, storm):
    assert list(buttons_of(storm)) == ["Acknowledge all shown", COMMON, "End storm mode"]
    dialog = await town.alice.click(storm, label=COMMON)
    assert left(dialog)["matchers"] == 'cluster="blue"\nseverity="warning"'
    shown = await town.alice.submit_modal(dialog, {**left(dialog), "comment": "the move"})
    text = words_of(shown.response)
    assert "It matches 20 firing alerts." in text
    assert "It hides #2 Group00, #3 Group01, #4 Group02, #5 Group03, #6 Group04, 15 more." in text
    assert await hidden(told) == []
    await town.alice.click(shown.response, label="Silence")
    await town.world.settle()
    assert len(await hidden(told)) == 20
    [silence] = await town.world.clusters["main"].list_silences()
    link = f"https://discord.com/channels/{town.guild.id}/{town.alerts.id}/{storm.id}"
    assert silence.comment == f"the move · 20 incidents of a storm {link}"
    [now] = [message for message in town.alerts.history() if message.id == storm.id]
    assert words_of(now).count("· silenced ·") == 20


async def test_what_no_alertmanager_sent_is_left_out_of_a_storms_silence_and_that_is_said(town, told, storm):
    await stand_in(town, "ServerDown")
    dialog = await town.alice.click(storm, label=COMMON)
    assert left(dialog)["matchers"] == 'cluster="blue"\nseverity="warning"'
    shown = await town.alice.submit_modal(dialog, left(dialog))
    assert "It leaves out #22 ServerDown: what no configured" in words_of(shown.response)
    await town.alice.click(shown.response, label="Silence")
    await town.world.settle()
    [now] = [message for message in town.alerts.history() if message.id == storm.id]
    assert words_of(now).count("· silenced ·") == 20
    [silence] = await town.world.clusters["main"].list_silences()
    assert silence.comment.startswith("20 incidents of a storm")


async def test_a_storm_that_no_alertmanager_sent_cannot_be_silenced(town):
    await stand_in(town, *(f"Server{number}Down" for number in range(20)))
    [digest] = [m for m in town.alerts.history() if words_of(m).startswith("### STORM")]
    answer = await town.alice.click(digest, label=COMMON)
    assert answer.modal is None
    assert "The Machine itself raised" in answer.response.content


async def stand_in(town, *names):
    """Have The Machine itself raise alerts, as it does of servers and heartbeats."""
    world = town.world
    async with world.rooms.database.transaction() as tx:
        for name in names:
            alert = an_alert(name, name=name, cluster="red")
            told = a_notification(alert, source=OURSELVES, group_key=name, group_labels={"alertname": name})
            await world.rooms.intake.report(tx, told)
    await world.settle()


async def test_one_of_a_storm_is_silenced_with_a_link_to_the_digest_that_names_it(town, told, storm):
    opened = await town.alice.select(storm, values=["7"], custom_id="tm:storm-open:1/1.0")
    dialog = await town.alice.click(opened.response, label="Silence…")
    shown = await town.alice.submit_modal(dialog, left(dialog))
    await town.alice.click(shown.response, label="Silence")
    [silence] = await town.world.clusters["main"].list_silences()
    link = f"https://discord.com/channels/{town.guild.id}/{town.alerts.id}/{storm.id}"
    assert silence.comment == f"#7 Group05 {link}"


async def test_what_is_broad_in_a_storm_has_to_be_confirmed(town, told, storm):
    await told.post(a_posted_alert("NodeDown", cluster="blue", node="n1"))
    dialog = await town.alice.click(storm, label=COMMON)
    shown = await town.alice.submit_modal(dialog, {**left(dialog), "length": "1h"})
    assert "It silences more than 20 alerts." in words_of(shown.response)
    assert list(buttons_of(shown.response)) == ["Silence all the same", "Change"]


async def test_what_the_policy_refuses_is_refused_in_a_storm_as_well(town, told, storm):
    town.world.silence_policy = SilencePolicy(refuse=Limits(alerts=10))
    dialog = await town.alice.click(storm, label=COMMON)
    shown = await town.alice.submit_modal(dialog, left(dialog))
    assert words_of(shown.response).startswith("### This silence is not allowed")
    assert list(buttons_of(shown.response)) == ["Change"]


async def test_incidents_that_have_nothing_in_common_are_not_silenced_together(town, told):
    names = [f"Group{number:02}" for number in range(20)]
    for name in names:
        await told.post(a_posted_alert(name, severity=("warning", "info")[int(name[-1]) % 2]))
    await town.world.receive(*[await delivered(told, group={"alertname": name}) for name in names])
    [digest] = [m for m in town.alerts.history() if words_of(m).startswith("### STORM")]
    answer = await town.alice.click(digest, label=COMMON)
    assert answer.modal is None
    assert answer.ephemeral
    assert "no label in common" in answer.response.content


async def test_who_may_not_silence_gets_no_dialog_in_a_storm(town, told, storm):
    answer = await town.victor.click(storm, label=COMMON)
    assert answer.modal is None
    assert 'may: ["alerts:silence"]' in answer.response.content


async def test_a_silenced_incident_that_is_opened_from_a_digest_says_why_it_is_quiet(town, told, storm):
    dialog = await town.alice.click(storm, label=COMMON)
    shown = await town.alice.submit_modal(dialog, left(dialog))
    await town.alice.click(shown.response, label="Silence")
    await town.world.settle()
    opened = await town.alice.select(storm, values=["7"], custom_id="tm:storm-open:1/1.0")
    assert "### SILENCED · Group05" in words_of(opened.response)
    assert f"Silenced by <@{town.alice.id}> until <t:" in words_of(opened.response)
