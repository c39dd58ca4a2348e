"""Every slash command, as a person types it."""

from datetime import timedelta

import pytest
import structlog
from sqlalchemy import text

from bot.access.model import KNOWN_ACTIONS
from bot.core.findings import Finding
from bot.core.status import StatusLine
from bot.housekeeping import HEAD, head_key
from bot.telemetry.metrics import REGISTRY
from tests.support.alerts import a_body, an_entry
from tests.support.world import buttons_of, words_of


@pytest.fixture
def ask(town):
    """Type a command as alice, in #alerts unless told otherwise."""

    async def type_it(command, *, by=None, where=None, **options):
        return await (by or town.alice).slash(where or town.alerts, command, **options)

    return type_it


async def fire(town, *names, **labels):
    for name in names:
        await town.world.receive(a_body(an_entry(name, **labels), group_labels={"alertname": name}))


async def test_every_command_is_described_and_known_to_the_policy(town):
    offered = list(town.alice.available_commands(town.alerts))
    assert sorted(offered) == [
        "alerts ack", "alerts explain-route", "alerts list", "alerts resolve", "alerts show",
        "alerts silence", "alerts test", "alerts unack", "alerts unsilence", "machine about", "machine access", "machine audit", "machine changes", "machine doctor", "machine status",
    ]  # fmt: skip
    assert {name.replace(" ", ":") for name in offered} <= set(KNOWN_ACTIONS)


async def test_list_shows_what_is_open_privately(town, ask):
    await fire(town, "DiskFull", "Slow")
    await fire(town, "Down", severity="critical")
    answer = await ask("alerts list")
    assert answer.ephemeral
    shown = words_of(answer.response)
    assert "3 incidents" in shown
    assert shown.index("Down") < shown.index("Slow") < shown.index("DiskFull")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"severity": "critical"}, {"Down"}),
        ({"text": "disk"}, {"DiskFull"}),
        ({"state": "closed"}, {"Gone"}),
        ({"state": "all"}, {"Down", "DiskFull", "Gone"}),
        ({"text": "nothing like it"}, set()),
    ],
)
async def test_list_finds_by_state_severity_and_text(town, ask, options, found):
    await fire(town, "DiskFull", "Gone")
    await fire(town, "Gone", status="resolved", until="2026-11-21T12:10:00Z")
    await fire(town, "Down", severity="critical")
    shown = words_of((await ask("alerts list", **options)).response)
    assert {name for name in ("DiskFull", "Down", "Gone") if f"**{name}**" in shown} == found


async def test_a_list_is_turned_by_buttons_that_survive_a_restart(town, ask):
    await fire(town, *(f"Alert{n:02}" for n in range(20)))
    first = await ask("alerts list", text="alert")
    assert "page 1 of 3" in words_of(first.response)
    await town.restart()
    second = await town.alice.click(first.response, label="Next")
    assert "page 2 of 3" in words_of(second.response)
    third = await town.alice.click(second.response, label="Next")
    assert "page 3 of 3" in words_of(third.response)
    assert list(buttons_of(third.response)) == ["Previous"]


async def test_a_search_that_no_button_could_hold_is_refused_in_words(town, ask):
    answer = await ask("alerts list", text="Ж" * 40)
    assert "fewer or shorter words" in answer.response.content
    assert len(town.refusals()) == 1


async def test_show_has_everything(town, ask):
    await fire(town, "DiskFull", mountpoint="/var")
    answer = await ask("alerts show", incident="#1")
    assert answer.ephemeral
    assert "/var" in words_of(answer.response)


@pytest.mark.parametrize(
    ("typed", "told"), [("77", "There is no incident #77."), ("disk", "Expected the number")]
)
async def test_show_says_what_is_wrong_with_a_number(town, ask, typed, told):
    answer = await ask("alerts show", incident=typed)
    assert told in answer.response.content
    assert len(town.refusals()) == 1


async def test_ack_takes_several_with_a_note(town, ask):
    await fire(town, "DiskFull", "Slow", "Down")
    answer = await ask("alerts ack", incidents="#1 3", note="on my way")
    assert "DiskFull" in words_of(answer.response)
    assert "Down" in words_of(answer.response)
    await town.world.settle()
    held = ["on my way" in words_of(card) for card in town.alerts.history()]
    assert held == [True, False, True]


async def test_ack_of_several_is_all_or_nothing(town, ask):
    await fire(town, "DiskFull", "Slow")
    answer = await ask("alerts ack", incidents="1 2 99")
    assert "no incident #99" in answer.response.content
    await town.world.settle()
    assert not any("Acknowledged" in words_of(card) for card in town.alerts.history())
    assert len(town.refusals()) == 1


async def test_ack_all_here_takes_those_of_the_channel(town, ask):
    await fire(town, "DiskFull", "Slow")
    await fire(town, "Down", severity="critical")
    await ask("alerts ack", incidents="1")
    answer = await ask("alerts ack", incidents="all here", where=town.critical)
    assert "Down" in words_of(answer.response)
    assert "Slow" not in words_of(answer.response)
    answer = await ask("alerts ack", incidents="All here ")
    assert "Slow" in words_of(answer.response)
    answer = await ask("alerts ack", incidents="all here")
    assert "nothing to acknowledge" in words_of(answer.response)


async def test_unack_gives_back(town, ask):
    await fire(town, "DiskFull")
    await ask("alerts ack", incidents="1")
    answer = await ask("alerts unack", incident="1")
    assert "#1 is nobody's now" in answer.response.content
    await town.world.settle()
    assert "Acknowledged" not in words_of(town.alerts.last_message)
    await ask("alerts unack", incident="1")
    assert town.refusals() == ["Nobody has acknowledged #1."]


async def test_resolve_closes_by_hand_until_the_sender_says_otherwise(town, ask):
    await fire(town, "DiskFull")
    answer = await ask("alerts resolve", incident="1", note="drill")
    assert "#1 is closed" in answer.response.content
    await town.world.settle()
    [card] = town.alerts.history()
    assert words_of(card).startswith("### CLOSED")
    assert f"Closed by hand by <@{town.alice.id}>: *drill*" in words_of(card)
    await fire(town, "DiskFull")
    assert words_of(town.alerts.history()[0]).startswith("### WARNING")


@pytest.mark.parametrize(
    "labels", ['alertname=Watchdog severity="none"', '{alertname="Watchdog", severity="none"}']
)
async def test_explain_route_says_where_an_alert_goes_and_why_not_elsewhere(town, ask, labels):
    answer = await ask("alerts explain-route", labels=labels)
    assert "it is only recorded" in words_of(answer.response)
    answer = await ask("alerts explain-route", labels="alertname=X severity=warning")
    assert "It goes to **alerts**" in words_of(answer.response)
    assert "`severity` is `warning`" in words_of(answer.response)


@pytest.mark.parametrize("labels", ["nonsense", "a=~b", " "])
async def test_explain_route_says_what_it_expected(town, ask, labels):
    answer = await ask("alerts explain-route", labels=labels)
    assert answer.response.content.startswith(("Expected", "expected"))
    assert len(town.refusals()) == 1


async def test_a_test_alert_goes_the_whole_way_and_resolves_itself(town, ask):
    answer = await ask("alerts test", severity="critical")
    assert answer.ephemeral
    await town.world.settle()
    title, state, *_ = words_of(town.critical.last_message).splitlines()
    assert title == "### CRITICAL · MachineTest"
    # Without the label that tells one test from another.
    assert state.endswith(" · 1 alert")
    await town.world.pass_time(timedelta(minutes=6))
    assert words_of(town.critical.history()[0]).startswith("### RESOLVED · MachineTest")


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("alerts ack", {"incidents": "1"}),
        ("alerts unack", {"incident": "1"}),
        ("alerts resolve", {"incident": "1"}),
        ("alerts silence", {"incident": "1"}),
        ("alerts test", {}),
        ("alerts explain-route", {"labels": "a=b"}),
        ("machine audit", {}),
        ("machine changes", {}),
        ("machine status", {}),
        ("machine doctor", {}),
        ("machine about", {}),
        ("machine access", {"can": "alerts:ack"}),
    ],
)
async def test_who_may_not_is_refused_privately_and_the_refusal_is_recorded(town, ask, command, options):
    await fire(town, "DiskFull")
    answer = await ask(command, by=town.victor, **options)
    action = command.replace(" ", ":")
    assert answer.ephemeral
    assert f'may: ["{action}"]' in answer.response.content
    assert len(town.refusals()) == 1
    shown = words_of((await ask("machine audit", who=town.victor, action=action)).response)
    assert "**REFUSED**" in shown


async def test_audit_shows_what_people_did_newest_first_with_chain_numbers(town, ask):
    await fire(town, "DiskFull", "Slow")
    await ask("alerts ack", incidents="1", note="a `note` @everyone")
    await ask("alerts resolve", incident="2", by=town.bob)
    answer = await ask("machine audit")
    shown = words_of(answer.response)
    assert answer.ephemeral
    assert "2 entries" in shown
    assert shown.index("`#2`") < shown.index("`#1`")
    assert "@everyone" not in shown
    assert f"<@{town.bob.id}> `alerts:resolve` `incident:2`" in shown
    only = words_of((await ask("machine audit", who=town.bob)).response)
    assert "`alerts:ack`" not in only
    only = words_of((await ask("machine audit", action="alerts:a*", since="1h")).response)
    assert "1 entry" in only


async def test_audit_is_turned_by_buttons_that_survive_a_restart(town, ask):
    await fire(town, "DiskFull")
    for _ in range(6):
        await ask("alerts ack", incidents="1")
        await ask("alerts unack", incident="1")
    first = await ask("machine audit", who=town.alice, action="alerts:*ack", since="2026-11-21")
    assert "`#12`" in words_of(first.response)
    assert "`#2`" not in words_of(first.response)
    await town.restart()
    second = await town.alice.click(first.response, label="Older")
    assert "`#2`" in words_of(second.response)
    assert "`#12`" not in words_of(second.response)
    newest = await town.alice.click(second.response, label="Newest")
    assert "`#12`" in words_of(newest.response)


async def test_audit_refuses_what_is_no_time(town, ask):
    answer = await ask("machine audit", since="yesterday")
    assert "Expected a time such as 2h" in answer.response.content
    assert len(town.refusals()) == 1


async def test_access_says_who_may_and_whether_the_asker_may(town, ask):
    shown = words_of((await ask("machine access", can="alerts:ack", what="channel:alerts")).response)
    assert "**You may**" in shown
    assert f"<@&{town.operators.id}>: `access.grants[0]`" in shown
    assert f"<@&{town.viewers.id}>" not in shown
    shown = words_of((await ask("machine access", can="alerts:show", what="channel:alerts")).response)
    assert f"<@&{town.viewers.id}>" in shown


async def test_access_answers_for_others_and_for_roles(town, ask):
    shown = words_of((await ask("machine access", can="alerts:ack", who=town.victor)).response)
    assert f"**<@{town.victor.id}> may not**" in shown
    shown = words_of(
        (await ask("machine access", can="alerts:show", what="channel:critical", who=town.viewers)).response
    )
    assert f"**<@&{town.viewers.id}> may not** here" in shown
    await ask("machine access", can="alerts:levitate")
    assert "Expected an action" in town.refusals()[0]


async def test_doctor_says_privately_what_needs_a_look_and_that_first(town, ask):
    answer = await ask("machine doctor")
    assert answer.ephemeral
    assert "All is well" in words_of(answer.response)
    town.world.findings.append(
        Finding("discord.channels.alerts", is_fine=False, text="the bot lacks *SEND_MESSAGES*; grant it")
    )
    shown = words_of((await ask("machine doctor")).response)
    assert "1 of 2 need a look" in shown
    assert shown.index("discord.channels.alerts") < shown.index("program")
    assert r"lacks \*SEND" in shown


async def test_status_says_what_is_wrong(town, ask):
    assert "All is well" in words_of((await ask("machine status")).response)
    town.world.status.append(
        StatusLine("Discord", ok=False, text="no *gateway*", since=town.world.clock.now())
    )
    shown = words_of((await ask("machine status")).response)
    assert "Something needs a look" in shown
    assert r"PROBLEM · **Discord** no \*gateway\* since <t:" in shown


async def test_about_says_version_and_since_when(town, ask):
    name = "the_machine_interaction_duration_seconds_count"
    before = REGISTRY.get_sample_value(name, {"command": "machine about"}) or 0
    shown = words_of((await ask("machine about")).response)
    assert REGISTRY.get_sample_value(name, {"command": "machine about"}) == before + 1
    assert "The Machine 0." in shown
    assert "Running since <t:" in shown


async def test_a_notice_has_details_for_those_who_may(town):
    await town.world.notices.tell("key", "Something odd", "All that there is to say.")
    await town.world.settle()
    answer = await town.alice.click(town.audit.last_message, label="Details")
    assert "All that there is to say." in words_of(answer.response)
    answer = await town.victor.click(town.audit.last_message, label="Details")
    assert 'may: ["machine:status"]' in answer.response.content


async def test_the_head_of_the_journal_explains_itself(town, ask):
    await fire(town, "DiskFull")
    await ask("alerts ack", incidents="1")
    async with town.world.rooms.database.transaction() as tx:
        for head in await town.world.rooms.journal.heads_to_post(tx, town.world.clock.now().date()):
            await town.world.rooms.cards.want(tx, HEAD, head_key(head), town.audit.id)
    await town.world.settle()
    answer = await town.victor.click(town.audit.last_message, label="What is this?")
    assert "machine audit verify" in words_of(answer.response)


async def test_an_unexpected_error_answers_with_a_reference_that_is_in_the_log(town, ask):
    await fire(town, "DiskFull")
    async with town.world.rooms.database.transaction() as tx:
        await tx.execute(text("UPDATE incident SET severity = 99"))
    with structlog.testing.capture_logs() as logs:
        answer = await ask("alerts list")
    [failed] = [entry for entry in logs if entry["event"] == "interaction_failed"]
    assert answer.ephemeral
    assert f"Reference `{failed['reference']}`" in answer.response.content
    assert "99" not in answer.response.content.partition("Reference")[0]
    assert len(town.refusals()) == 1


async def test_completion_offers_incidents_the_best_first(town):
    await fire(town, "DiskFull", "SlowDisk", namespace="shop")
    choices = await town.alice.autocomplete(town.alerts, "alerts show", "incident", "disk")
    assert [choice["value"] for choice in choices] == ["2", "1"]
    assert choices[1]["name"] == "#1 WARNING DiskFull · shop"


async def test_completion_of_ack_offers_all_here_and_one_more(town, ask):
    await fire(town, "DiskFull", "SlowDisk")
    choices = await town.alice.autocomplete(town.alerts, "alerts ack", "incidents", "")
    assert [choice["value"] for choice in choices] == ["all here", "2", "1"]
    choices = await town.alice.autocomplete(town.alerts, "alerts ack", "incidents", "#1 slo")
    assert [choice["value"] for choice in choices] == ["1 2"]
    await ask("alerts ack", incidents="2")
    choices = await town.alice.autocomplete(town.alerts, "alerts unack", "incident", "")
    assert [choice["value"] for choice in choices] == ["2"]


async def test_completion_tells_nobody_what_they_may_not_touch(town):
    await fire(town, "DiskFull")
    for command, option in (("alerts ack", "incidents"), ("alerts resolve", "incident")):
        choices = await town.victor.autocomplete(town.alerts, command, option, "disk")
        assert choices == []
    assert len(await town.victor.autocomplete(town.alerts, "alerts show", "incident", "disk")) == 1


async def test_completion_of_actions(town):
    choices = await town.alice.autocomplete(town.alerts, "machine access", "can", "ack")
    assert choices[0]["value"] == "alerts:ack"
