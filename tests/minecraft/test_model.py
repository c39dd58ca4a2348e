from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.errors import InvalidError
from bot.minecraft.model import (
    Address,
    Alarm,
    Answer,
    Condition,
    DownRules,
    Standing,
    Stop,
    Trouble,
    alarm,
    parse_address,
    parse_player,
    recovered,
    settle,
    total_words,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = DownRules(after=timedelta(minutes=5), back_for=timedelta(minutes=1))
STEP = timedelta(seconds=15)


def an_answer(online=3, most=20):
    return Answer(online=online, most=most, version="1.21.4", protocol=769)


def play(*outcomes, start=None):
    """What follows from pings, 15 s apart; returns each standing with what is to be done about it."""
    standing, done = start, []
    for number, outcome in enumerate(outcomes):
        now = NOW + number * STEP
        standing = recovered(settle(standing, outcome, server="survival", now=now), RULES, now)
        todo = alarm(standing, RULES, now)
        if todo is not None:
            standing = replace(standing, alarmed=todo is Alarm.OPEN)
        done.append((standing, todo))
    return done


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mc.example.org", Address("mc.example.org")),
        ("10.0.0.7:25570", Address("10.0.0.7", 25570)),
        ("[2001:db8::7]:25565", Address("2001:db8::7", 25565)),
    ],
)
def test_an_address_is_read_and_written(text, address):
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "a b", "host:0", "host:99999", "http://host", "host:", "@everyone"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidError):
        parse_address(text)


@pytest.mark.parametrize(
    ("outcome", "condition"),
    [
        (an_answer(), Condition.ONLINE),
        (an_answer(20), Condition.FULL),
        (an_answer(25), Condition.FULL),
        (Trouble.REFUSED, Condition.OFFLINE),
        (Trouble.PLACEHOLDER, Condition.OFFLINE),
        (Trouble.CLOSED, Condition.STARTING),
        (Trouble.SILENT, Condition.STARTING),
        (Trouble.TIMEOUT, Condition.UNREACHABLE),
        (Trouble.NO_NAME, Condition.UNREACHABLE),
        (Trouble.GARBAGE, Condition.WRONG_PROTOCOL),
    ],
)
def test_each_outcome_has_a_word(outcome, condition):
    assert settle(None, outcome, server="survival", now=NOW).condition is condition


def test_one_lost_ping_of_a_server_that_was_up_says_nothing():
    first, second, third = (s for s, _ in play(an_answer(), Trouble.TIMEOUT, an_answer()))
    assert second.is_up
    assert second.answer == first.answer
    assert third.since == first.since
    assert third.misses == 0


def test_two_lost_pings_or_one_refusal_are_believed():
    assert not play(an_answer(), Trouble.TIMEOUT, Trouble.TIMEOUT)[-1][0].is_up
    assert not play(an_answer(), Trouble.REFUSED)[-1][0].is_up


def test_a_server_that_falls_silent_hangs_and_one_that_was_off_starts():
    assert play(an_answer(), Trouble.SILENT, Trouble.SILENT)[-1][0].condition is Condition.UNREACHABLE
    assert play(an_answer(), *[Trouble.SILENT] * 5)[-1][0].condition is Condition.UNREACHABLE
    assert play(Trouble.REFUSED, Trouble.SILENT)[-1][0].condition is Condition.STARTING


def test_what_was_off_for_days_may_start_now():
    done = play(*[Trouble.REFUSED] * 70, *[Trouble.SILENT] * 3)
    assert done[-1][0].condition is Condition.STARTING
    assert done[-1][0].starting_since == done[70][0].checked_at
    assert done[-1][0].since == done[0][0].checked_at


def test_what_starts_for_too_long_hangs():
    assert play(*[Trouble.CLOSED] * 70)[-1][0].condition is Condition.UNREACHABLE


def test_since_when_is_kept_while_the_reason_changes():
    standings = [s for s, _ in play(an_answer(), Trouble.REFUSED, Trouble.TIMEOUT, Trouble.CLOSED)]
    assert {s.since for s in standings[1:]} == {NOW + STEP}


def test_an_incident_opens_after_the_time_and_once():
    done = play(an_answer(), *[Trouble.REFUSED] * 30)
    opened = [number for number, (_, todo) in enumerate(done) if todo is Alarm.OPEN]
    assert opened == [21]


def test_an_incident_closes_when_it_is_back_for_long_enough():
    done = play(*[Trouble.REFUSED] * 21, *[an_answer()] * 8)
    assert [todo for _, todo in done if todo] == [Alarm.OPEN, Alarm.CLOSE]
    assert done[24][1] is None
    assert done[25][1] is Alarm.CLOSE
    assert done[-1][0].down_since is None


def test_a_server_that_flaps_opens_one_incident_and_closes_it_once():
    flapping = [Trouble.REFUSED, Trouble.REFUSED, an_answer()] * 20
    done = play(*flapping, *[an_answer()] * 6)
    assert [todo for _, todo in done if todo] == [Alarm.OPEN, Alarm.CLOSE]


def test_a_server_that_was_stopped_on_purpose_alarms_nobody():
    stop = Stop(by_id="7", at=NOW)
    start = Standing(
        server="survival", condition=Condition.OFFLINE, since=NOW, checked_at=NOW, down_since=NOW, stop=stop
    )
    done = play(*[Trouble.REFUSED] * 40, start=start)
    assert [todo for _, todo in done if todo] == []
    assert done[-1][0].stop == stop
    assert alarm(replace(done[-1][0], alarmed=True), RULES, NOW) is Alarm.CLOSE


def test_the_stop_is_forgotten_when_it_is_up_again():
    start = Standing(
        server="survival",
        condition=Condition.OFFLINE,
        since=NOW,
        checked_at=NOW,
        stop=Stop(by_id="7", at=NOW),
    )
    assert play(an_answer(), start=start)[-1][0].stop is None


def test_without_rules_there_are_no_incidents():
    standing = settle(None, Trouble.REFUSED, server="survival", now=NOW)
    assert alarm(standing, None, NOW + timedelta(days=1)) is None


@pytest.mark.parametrize("name", ["Steve", "x", "_", "A" * 16, ".Bedrock_1", "*Geyser"])
def test_the_names_of_players_are_taken(name):
    assert parse_player(f" {name} ") == name


@pytest.mark.parametrize(
    "name",
    ["", "A" * 17, "two words", "Steve\nop Steve", "Steve;stop", "@a", "../x", "Stéve", "a-b", "§c", "١"],
)
def test_what_could_hide_a_command_is_no_name(name):
    with pytest.raises(InvalidError):
        parse_player(name)


def test_the_presence_counts_who_plays_where():
    up = settle(None, an_answer(3), server="a", now=NOW)
    down = settle(None, Trouble.REFUSED, server="b", now=NOW)
    assert total_words([up, down]) == "3 players on 1 server"
    assert total_words([up, replace(up, answer=an_answer(1))]) == "4 players on 2 servers"
    assert total_words([down]) == "no server is up"
    assert total_words([]) == ""
