"""What a channel sees when more happens than it can take a message each of."""

from dataclasses import replace
from datetime import timedelta

from tests.support.alerting import a_route
from tests.support.alerts import a_body, an_entry
from tests.support.people import a_person
from tests.support.world import buttons_of, words_of

ENDED = "2026-11-21T12:10:00Z"
MINUTE = timedelta(minutes=1)


def a_group(number, *, severity="warning", **entry):
    labels = {"alertname": f"Group{number:03}"}
    return a_body(an_entry(labels["alertname"], severity=severity, pod="a", **entry), group_labels=labels)


def groups(count, *, first=1, **more):
    return [a_group(number, **more) for number in range(first, first + count)]


def digests(town, channel=None):
    return [m for m in (channel or town.alerts).history() if words_of(m).startswith("### STORM")]


def calls(town):
    return [m for m in town.alerts.history() if "**STORM**" in words_of(m)]


def cards(town):
    return [m for m in town.alerts.history() if m not in digests(town) and m not in calls(town)]


def pinged(town):
    """Whom messages called when they were created, in the channel of alerts."""
    return [
        entry.json["allowed_mentions"]["roles"]
        for entry in town.env.http_requests
        if entry.method == "POST"
        and entry.path == f"/channels/{town.alerts.id}/messages"
        and entry.json["allowed_mentions"].get("roles")
    ]


async def until_calm(town, minutes=3):
    for _ in range(minutes * 4):
        await town.world.pass_time(timedelta(seconds=15))


async def test_what_the_channel_can_take_has_a_card_each(town):
    await town.world.receive(*groups(15))
    assert len(cards(town)) == 15
    assert digests(town) == []


async def test_more_than_that_shares_messages_in_which_each_has_a_line(town):
    await town.world.receive(*groups(50))
    assert cards(town) == []
    first, second = digests(town)
    assert "50 incidents" in words_of(first)
    text = words_of(first) + words_of(second)
    assert all(f"**Group{number:03}**" in text for number in range(1, 51))
    assert words_of(first).count("**Group") == 40


async def test_a_line_is_no_wider_than_a_phone_and_tells_name_place_count_and_time(town):
    await town.world.receive(*groups(16))
    [digest] = digests(town)
    line = next(line for line in words_of(digest).splitlines() if "Group007" in line)
    assert line.startswith("`#7` **Group007** ")
    assert " · 1 · <t:" in line


async def test_incidents_that_had_cards_keep_them(town):
    await town.world.receive(a_group(900))
    await town.world.receive(*groups(20))
    [card] = cards(town)
    assert "Group900" in words_of(card)
    await town.world.receive(a_group(900, status="resolved", until=ENDED))
    assert words_of(cards(town)[0]).startswith("### RESOLVED")
    assert "Group900" not in "".join(map(words_of, digests(town)))


async def test_critical_ones_have_cards_of_their_own(town):
    await town.world.receive(*groups(20), a_group(500, severity="critical"))
    assert [words_of(card).splitlines()[0] for card in cards(town)] == ["### CRITICAL · Group500"]
    assert "1 critical has its own card" in words_of(digests(town)[0])


async def test_even_critical_ones_can_be_too_many_and_get_cards_as_there_is_room(town):
    town.world.rooms.policy = replace(town.world.rooms.policy, routes=(a_route(),))
    await town.world.receive(*groups(60, severity="critical"))
    assert len(cards(town)) == 15
    assert sum(words_of(digest).count("**Group") for digest in digests(town)) == 45
    assert " · critical · " in words_of(digests(town)[0])
    for _ in range(20):
        await town.world.pass_time(timedelta(seconds=1))
    assert len(cards(town)) == 60
    assert "STORM OVER" not in words_of(digests(town)[0])


async def test_what_is_owed_when_the_storm_ends_is_still_said(town):
    await town.world.receive(*groups(20))
    await town.world.pass_time(timedelta(seconds=50))
    await town.world.receive(*groups(2, first=100))
    for _ in range(8):
        await town.world.pass_time(timedelta(seconds=20))
    assert "STORM OVER" in words_of(digests(town)[0])
    assert len(pinged(town)) == 1
    await town.world.pass_time(timedelta(minutes=2))
    assert len(pinged(town)) == 2
    assert "22 incidents" in words_of(calls(town)[0])
    await town.world.pass_time(timedelta(seconds=10))
    assert calls(town) == []


async def test_operators_see_storms_in_the_status(town):
    town.world.status = await town.world.rooms.digests.list_status()
    assert [line.text for line in town.world.status] == ["none: each incident has a message"]
    await town.world.receive(*groups(20))
    town.world.status = await town.world.rooms.digests.list_status()
    answer = await town.alice.slash(town.alerts, "machine status")
    assert "in alerts: 20 incidents, 0 critical, since" in words_of(answer.response)


async def test_one_that_becomes_critical_leaves_the_digest_for_a_card(town):
    await town.world.receive(*groups(20))
    await town.world.receive(
        a_body(
            an_entry("Group003", severity="critical", pod="b"),
            an_entry("Group003", pod="a"),
            group_labels={"alertname": "Group003"},
        )
    )
    assert ["Group003" in words_of(card) for card in cards(town)] == [True]
    assert "Group003" not in words_of(digests(town)[0])


async def test_a_role_is_mentioned_once_however_much_there_is(town):
    await town.world.receive(*groups(20))
    await town.world.receive(*groups(30, first=100))
    await town.world.receive(a_group(500, severity="critical"))
    assert pinged(town) == [[town.oncall.id]]
    [call] = calls(town)
    assert words_of(call).startswith(f"<@&{town.oncall.id}>: **STORM** · 20 incidents")


async def test_the_next_mention_comes_when_its_time_has_come_and_replaces_the_first(town):
    await town.world.receive(*groups(20))
    [first] = calls(town)
    for number in range(10):
        await town.world.receive(*groups(6, first=100 + 6 * number))
        await town.world.pass_time(timedelta(seconds=35))
    [second] = calls(town)
    assert second.id != first.id
    assert len(pinged(town)) == 2


async def test_nothing_new_is_no_reason_to_mention_again(town):
    await town.world.receive(*groups(20))
    await until_calm(town, minutes=12)
    assert len(pinged(town)) == 1


async def test_a_resolved_one_says_so_on_its_line_and_never_gets_a_card(town):
    await town.world.receive(*groups(20))
    await town.world.receive(a_group(4, status="resolved", until=ENDED))
    line = next(line for line in words_of(digests(town)[0]).splitlines() if "Group004" in line)
    assert "resolved" in line
    await until_calm(town)
    assert len(cards(town)) == 19
    assert not any("Group004" in words_of(card) for card in cards(town))


async def test_calm_gives_cards_back_without_a_word_and_leaves_a_summary(town):
    await town.world.receive(*groups(45), a_group(500, severity="critical"))
    before = len(pinged(town))
    await until_calm(town, minutes=5)
    assert len(cards(town)) == 46
    assert len(pinged(town)) == before
    assert calls(town) == []
    first, second = digests(town)
    assert "### STORM OVER · 46 incidents in" in words_of(first)
    assert "at most 46 a minute" in words_of(first)
    assert "page 2 of 2" in words_of(second)
    assert "**Group" not in words_of(first) + words_of(second)
    assert list(buttons_of(first)) == ["List incidents"]


async def test_it_is_not_calm_while_much_is_new_although_nothing_waits(town):
    await town.world.receive(*groups(20))
    for number in range(12):
        await town.world.receive(*groups(8, first=100 + 8 * number))
        await town.world.pass_time(timedelta(seconds=20))
    assert "STORM OVER" not in words_of(digests(town)[0])
    assert cards(town) == []


async def test_one_that_fires_again_after_the_storm_gets_a_card_and_a_ping(town):
    await town.world.receive(*groups(20))
    await town.world.receive(a_group(4, status="resolved", until=ENDED))
    await until_calm(town)
    await town.world.receive(a_group(4, since="2026-11-21T12:12:00Z"))
    assert any("Group004" in words_of(card) for card in cards(town))
    assert len(pinged(town)) == 2


async def test_the_storm_goes_on_after_a_restart(town):
    await town.world.receive(*groups(20))
    await town.restart()
    await town.world.receive(*groups(5, first=100))
    assert cards(town) == []
    [digest] = digests(town)
    assert "Group104" in words_of(digest)
    await until_calm(town, minutes=5)
    assert len(cards(town)) == 25


async def test_an_operator_ends_it_and_it_stays_ended(town):
    await town.world.receive(*groups(20))
    await town.alice.click(digests(town)[0], label="End storm mode")
    await town.world.settle()
    assert "STORM OVER" in words_of(digests(town)[0])
    await town.world.receive(*groups(20, first=100))
    for _ in range(30):
        await town.world.pass_time(timedelta(seconds=2))
    assert len(cards(town)) == 40
    assert f"ended by <@{town.alice.id}>" in words_of(digests(town)[0])
    assert "alerts:storm-ended" in await town.world.rooms.actions()


async def test_who_may_not_acknowledge_may_not_end_it(town):
    await town.world.receive(*groups(20))
    await town.victor.click(digests(town)[0], label="End storm mode")
    await town.world.settle()
    assert "STORM OVER" not in words_of(digests(town)[0])


async def test_all_that_is_shown_is_acknowledged_at_once(town):
    await town.world.receive(*groups(45))
    await town.alice.click(digests(town)[0], label="Acknowledge all shown")
    await town.world.settle()
    taken = [(await town.world.rooms.incident(n)).acknowledgement is not None for n in range(1, 46)]
    assert taken == [True] * 40 + [False] * 5
    assert words_of(digests(town)[0]).count(f"· <@{town.alice.id}>") == 40


async def test_one_is_opened_from_the_digest_privately(town):
    await town.world.receive(*groups(20))
    answer = await town.alice.select(digests(town)[0], values=["7"], custom_id="tm:storm-open:1/1.0")
    assert answer.response.ephemeral
    assert "WARNING · Group007" in words_of(answer.response)
    assert "Acknowledge" in buttons_of(answer.response)


async def test_a_forced_storm_lasts_until_it_is_ended(town):
    operator = a_person(roles=[str(town.operators.id)])
    await town.world.rooms.digests.force("alerts", by=operator)
    await town.world.receive(a_group(1))
    await until_calm(town, minutes=10)
    assert cards(town) == []
    [digest] = digests(town)
    await town.alice.click(digest, label="End storm mode")
    await until_calm(town)
    assert len(cards(town)) == 1
