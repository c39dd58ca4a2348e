"""What people see in the thread of a card: the timeline, and nothing that is in their way."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.support.alerting import a_policy, a_route
from tests.support.alerts import a_body, an_entry
from tests.support.world import buttons_of, words_of

ENDED = "2026-11-21T12:10:00Z"
SUMMARY = "KubePodCrashLooping"


@pytest.fixture
async def threads(town):
    policy = town.world.rooms.policy
    routes = (
        a_route('severity="info"', "alerts", index=0),
        a_route("", "alerts", mention=("role:oncall",), remind=timedelta(minutes=15), thread=True, index=1),
    )
    town.world.rooms.policy = replace(a_policy(*routes), channels=policy.channels, roles=policy.roles)
    return town


def thread_of(town):
    [thread] = town.alerts.threads
    return thread


def cards_in(town):
    """The messages of the channel without those that Discord itself writes about threads."""
    return [message for message in town.alerts.history() if message.author.bot and message.components]


def is_archived(thread):
    return thread._channel.thread_metadata.archived


async def fire(town, *pods, severity="warning", **more):
    await town.world.receive(
        a_body(*(an_entry(severity=severity, pod=pod, **more) for pod in pods or ("a",)))
    )


async def resolve(town, *pods):
    ended = (an_entry(pod=pod, status="resolved", until=ENDED) for pod in pods or ("a",))
    await town.world.receive(a_body(*ended))


async def test_a_card_gets_a_thread_that_is_named_after_the_incident_and_begins_with_its_timeline(threads):
    await fire(threads)
    thread = thread_of(threads)
    [card] = cards_in(threads)
    assert thread.id == card.id
    assert thread.name == f"#1 · {SUMMARY}"
    [timeline] = thread.history()
    assert words_of(timeline).startswith(f"### TIMELINE · {SUMMARY}")
    assert "**Fires** · WARNING · 1 alert fires" in words_of(timeline)


async def test_a_route_without_threads_makes_none(threads):
    await fire(threads, severity="info")
    assert threads.alerts.threads == []


async def test_the_timeline_tells_who_did_what_in_one_message_that_pings_nobody(threads):
    await fire(threads)
    [card] = cards_in(threads)
    await threads.alice.click(card, label="Acknowledge")
    await threads.world.settle()
    await fire(threads, "a", "b")
    threads.world.clock.advance(timedelta(minutes=5))
    await resolve(threads, "a", "b")
    [timeline] = thread_of(threads).history()
    said = [line.partition("> ")[2] for line in words_of(timeline).splitlines() if line.startswith("<t:")]
    assert said == [
        "**Fires** · WARNING · 1 alert fires",
        f"<@{threads.alice.id}> acknowledged it",
        "2 alerts fire now",
        "**Resolved**",
    ]
    sent = [r for r in threads.env.http_requests if f"/channels/{timeline.channel.id}/messages" in r.path]
    assert all(r.json["allowed_mentions"]["parse"] == [] for r in sent if r.json)
    assert timeline.flags.suppress_notifications


async def test_the_thread_is_archived_at_the_end_and_opened_when_it_goes_on(threads):
    await fire(threads)
    thread = thread_of(threads)
    await resolve(threads)
    assert is_archived(thread)
    assert "**Resolved**" in words_of(thread.history()[0])
    threads.world.clock.advance(timedelta(minutes=5))
    await fire(threads, since="2026-11-21T12:12:00Z")
    assert not is_archived(thread)
    [timeline] = thread.history()
    assert "**Fires again**" in words_of(timeline)


async def test_pings_stay_in_the_channel_and_are_told_in_the_timeline(threads):
    await fire(threads)
    await threads.world.pass_time(timedelta(minutes=15))
    card, ping = cards_in(threads)
    assert ping.reference.message_id == card.id
    [timeline] = thread_of(threads).history()
    assert "Called **oncall**: *still open after 15 min, nobody acknowledged*" in words_of(timeline)


async def test_a_long_timeline_goes_on_in_a_further_message(threads):
    await fire(threads)
    for _ in range(13):
        await threads.alice.click(cards_in(threads)[0], label="Acknowledge")
        await threads.world.settle()
        await threads.alice.click(cards_in(threads)[0], label="Unacknowledge")
        await threads.world.settle()
    first, second = thread_of(threads).history()
    assert words_of(first).count("<t:") == 25
    assert words_of(second).count("<t:") == 2
    assert "continued (2)" in words_of(second)


async def test_details_can_be_opened_from_the_timeline(threads):
    await fire(threads)
    [timeline] = thread_of(threads).history()
    assert list(buttons_of(timeline)) == ["Details"]
    pressed = await threads.alice.click(timeline, label="Details")
    assert "pod" in words_of(pressed.response or pressed.followups[-1])


async def test_who_asks_alone_is_told_what_the_thread_tells(threads):
    await fire(threads)
    await fire(threads, "a", "b")
    await resolve(threads, "a", "b")
    [timeline] = thread_of(threads).history()
    [card] = cards_in(threads)
    answer = await threads.alice.click(card, label="Timeline")
    assert answer.ephemeral
    assert "2 alerts fire now" in words_of(timeline)
    assert words_of(answer.response) == words_of(timeline)


async def test_all_here_in_a_thread_is_its_incident(threads):
    await threads.world.receive(a_group(1), a_group(2))
    first, _ = threads.alerts.threads
    for _ in range(2):
        await threads.alice.slash(first, "alerts ack", incidents="all here")
        await threads.world.settle()
    assert [f"<@{threads.alice.id}>" in words_of(card) for card in cards_in(threads)] == [True, False]


async def test_a_restart_repeats_nothing(threads):
    await fire(threads)
    policy = threads.world.rooms.policy
    await threads.restart()
    threads.world.rooms.policy = policy
    await fire(threads, "a", "b")
    [timeline] = thread_of(threads).history()
    assert "2 alerts fire now" in words_of(timeline)
    assert len(cards_in(threads)) == 1


async def test_without_permission_for_threads_the_card_works_as_without(threads):
    threads.env.inject_error("POST", "/channels/*/messages/*/threads", status=403, code=50013, times=1)
    await fire(threads)
    [card] = cards_in(threads)
    assert words_of(card).startswith("### WARNING")
    assert threads.alerts.threads == []
    assert len(threads.world.refused_threads) == 1
    await threads.world.pass_time(timedelta(minutes=11))


async def test_what_was_refused_a_thread_and_is_over_gets_none_later(threads):
    threads.env.inject_error("POST", "/channels/*/messages/*/threads", status=403, code=50013, times=1)
    await fire(threads)
    await resolve(threads)
    async with threads.world.rooms.database.reading() as tx:
        assert (await tx.execute(text("SELECT wanted - delivered FROM thread"))).scalars().all() == [0]
    assert threads.alerts.threads == []


async def test_names_from_outside_are_plain_and_fit(threads):
    name = "**Bold** @everyone " + "x" * 200
    await threads.world.receive(a_body(an_entry(name, pod="a"), group_labels={"alertname": name}))
    thread = thread_of(threads)
    assert thread.name.startswith("#1 · **Bold** @everyone xxx")
    assert len(thread.name) == 100


def a_group(number, **more):
    labels = {"alertname": f"Group{number:03}"}
    return a_body(an_entry(labels["alertname"], pod="a", **more), group_labels=labels)


async def test_in_a_storm_who_stands_in_a_digest_has_no_thread_until_it_has_a_card(threads):
    await threads.world.receive(*(a_group(number) for number in range(50)))
    assert any(words_of(card).startswith("### STORM") for card in cards_in(threads))
    assert threads.alerts.threads == []
    await threads.world.receive(*(a_group(number, status="resolved", until=ENDED) for number in range(1, 50)))
    for _ in range(12):
        await threads.world.pass_time(timedelta(seconds=15))
    assert [thread.name for thread in threads.alerts.threads] == ["#1 · Group000"]
