"""What a channel sees of an alert, from its first firing to its end."""

from datetime import timedelta

from tests.support.alerts import a_body, an_entry
from tests.support.world import buttons_of, colour_of, words_of

ENDED = "2026-11-21T12:10:00Z"


async def test_an_alert_becomes_one_card_that_calls_for_people_once(town):
    await town.world.receive(a_body(an_entry(pod="a")))
    [card] = town.alerts.history()
    assert words_of(card).startswith("### WARNING · KubePodCrashLooping")
    assert list(buttons_of(card)) == ["Acknowledge", "Details", "Silence…"]
    [created] = sent(town, "POST")
    assert created["allowed_mentions"]["roles"] == [town.oncall.id]


async def test_more_alerts_change_the_same_message(town):
    await town.world.receive(a_body(an_entry(pod="a")))
    [before] = town.alerts.history()
    await town.world.receive(a_body(an_entry(pod="a"), an_entry(pod="b"), an_entry(pod="c")))
    [card] = town.alerts.history()
    assert card.id == before.id
    assert "3 alerts" in words_of(card)
    assert sent(town, "PATCH")[-1]["allowed_mentions"] == {"parse": []}


async def test_the_same_delivery_twice_is_not_told_twice(town):
    body = a_body(an_entry(pod="a"))
    await town.world.receive(body, body)
    await town.world.receive(body)
    assert len(town.alerts.history()) == 1
    assert sent(town, "PATCH") == []


async def test_a_rising_severity_pings_by_a_reply_that_replaces_the_one_before(town):
    await town.world.receive(a_body(an_entry(severity="info")))
    [card] = town.alerts.history()
    await town.world.receive(a_body(an_entry(severity="info"), an_entry(severity="warning", pod="b")))
    _, first = town.alerts.history()
    assert first.reference.message_id == card.id
    assert f"<@&{town.oncall.id}>" in words_of(first)
    assert "got worse, it was INFO" in words_of(first)
    await town.world.receive(a_body(an_entry(severity="critical", pod="c")))
    again, second = town.alerts.history()
    assert again.id == card.id
    assert second.id != first.id
    assert words_of(again).startswith("### CRITICAL")
    assert [words_of(message).startswith("### CRITICAL") for message in town.critical.history()] == [True]


async def test_the_end_shrinks_the_card_and_takes_the_ping_away(town):
    await town.world.receive(a_body(an_entry(severity="info", pod="a")))
    await town.world.receive(a_body(an_entry(severity="warning", pod="b")))
    firing = town.alerts.history()[0]
    long, colour = words_of(firing), colour_of(firing)
    ended = [
        an_entry(severity=severity, pod=pod, status="resolved", until=ENDED)
        for severity, pod in (("info", "a"), ("warning", "b"))
    ]
    town.world.clock.advance(timedelta(minutes=10))
    await town.world.receive(a_body(*ended))
    [card] = town.alerts.history()
    assert words_of(card).startswith("### RESOLVED")
    assert len(words_of(card)) < len(long)
    assert colour_of(card) != colour
    assert list(buttons_of(card)) == ["Details", "Timeline"]


async def test_firing_again_soon_is_the_same_card_and_says_so(town):
    await town.world.receive(a_body(an_entry()))
    await town.world.receive(a_body(an_entry(status="resolved", until=ENDED)))
    town.world.clock.advance(timedelta(minutes=12))
    await town.world.receive(a_body(an_entry(since="2026-11-21T12:12:00Z")))
    card, ping = town.alerts.history()
    assert words_of(card).startswith("### WARNING")
    assert "Fired again 12 min after it first did" in words_of(card)
    assert "fired again" in words_of(ping)


async def test_firing_again_much_later_is_a_new_card(town):
    await town.world.receive(a_body(an_entry()))
    await town.world.receive(a_body(an_entry(status="resolved", until=ENDED)))
    town.world.clock.advance(timedelta(hours=2))
    await town.world.receive(a_body(an_entry(since="2026-11-21T14:00:00Z")))
    old, new = town.alerts.history()
    assert words_of(old).startswith("### RESOLVED")
    assert "#2" in words_of(new)


async def test_it_reminds_until_somebody_acknowledges(town):
    await town.world.receive(a_body(an_entry(severity="critical")))
    assert len(town.critical.history()) == 1
    await town.world.pass_time(timedelta(minutes=15))
    card, first = town.critical.history()
    assert "still open after 15 min" in words_of(first)
    await town.world.pass_time(timedelta(minutes=15))
    _, second = town.critical.history()
    assert second.id != first.id
    await town.alice.click(second, label="Acknowledge")
    await town.world.settle()
    await town.world.pass_time(timedelta(hours=1))
    [left] = town.critical.history()
    assert left.id == card.id
    assert f"Acknowledged by <@{town.alice.id}>" in words_of(left)


async def test_given_back_it_reminds_again(town):
    await town.world.receive(a_body(an_entry(severity="critical")))
    await town.alice.click(town.critical.last_message, label="Acknowledge")
    await town.world.settle()
    await town.alice.click(town.critical.last_message, label="Unacknowledge")
    await town.world.settle()
    assert list(buttons_of(town.critical.last_message)) == ["Acknowledge", "Details", "Silence…"]
    await town.world.pass_time(timedelta(minutes=15))
    assert len(town.critical.history()) == 2


async def test_what_goes_to_no_channel_is_not_shown(town):
    await town.world.receive(a_body(an_entry("Watchdog"), group_labels={"alertname": "Watchdog"}))
    assert town.alerts.history() == []


async def test_hostile_labels_ping_nobody_and_link_nowhere(town):
    hostile = f"@everyone <@{town.alice.id}> <@&{town.operators.id}> [x](https://evil.example) `@here`"
    await town.world.receive(
        a_body(
            an_entry(
                hostile,
                severity="info",
                pod=hostile,
                namespace=hostile,
                annotations={
                    "summary": hostile,
                    "description": hostile,
                    "runbook_url": "javascript:alert(1)",
                },
            ),
            group_labels={"alertname": hostile},
        )
    )
    [created] = sent(town, "POST")
    assert created["allowed_mentions"]["roles"] == [town.oncall.id]
    assert created["allowed_mentions"].get("users", []) == []
    assert not created["allowed_mentions"].get("parse")
    [card] = town.alerts.history()
    assert not card.mention_everyone
    assert card.role_mentions == [town.world.bot.get_guild(town.guild.id).get_role(town.oncall.id)]
    assert "](https://evil.example)" not in words_of(card)
    assert "javascript" not in words_of(card)


async def test_a_deleted_card_comes_back_without_pinging(town):
    await town.world.receive(a_body(an_entry(pod="a")))
    [card] = town.alerts.history()
    await town.world.bot.http.delete_message(town.alerts.id, card.id)
    await town.world.receive(a_body(an_entry(pod="a"), an_entry(pod="b")))
    [again] = town.alerts.history()
    assert again.id != card.id
    assert sent(town, "POST")[-1]["allowed_mentions"].get("roles", []) == []


async def test_a_button_from_before_a_restart_works(town):
    await town.world.receive(a_body(an_entry(severity="critical")))
    await town.restart()
    await town.alice.click(town.critical.last_message, label="Acknowledge")
    await town.world.settle()
    [card] = town.critical.history()
    assert f"Acknowledged by <@{town.alice.id}>" in words_of(card)
    await town.world.pass_time(timedelta(hours=1))
    assert len(town.critical.history()) == 1


async def test_a_reminder_from_before_a_restart_comes(town):
    await town.world.receive(a_body(an_entry(severity="critical")))
    await town.restart()
    await town.world.pass_time(timedelta(minutes=15))
    assert len(town.critical.history()) == 2


def sent(town, method):
    """The bodies of the messages that were created (POST) or edited (PATCH) in channels."""
    return [
        entry.json
        for entry in town.env.http_requests
        if entry.method == method and "/messages" in entry.path and entry.path.startswith("/channels/")
    ]
