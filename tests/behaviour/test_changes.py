"""`/machine changes`, and what cards say of changes, as people see it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.access.model import Grant, Policy
from bot.core.actor import THE_MACHINE, Actor, ActorKind
from bot.journal.model import Entry, Outcome
from tests.support.alerts import a_body, an_entry
from tests.support.world import buttons_of, words_of

OLD = "4f1c2ab" + "0" * 33
NEW = "9be01d7" + "0" * 33
SYNC = Entry(
    actor=THE_MACHINE,
    action="argocd:sync",
    target="app:argocd/shop",
    detail={"from": OLD, "to": NEW},
    namespace="shop",
    app="argocd/shop",
    change=True,
)
ROTATE = Entry(
    actor=THE_MACHINE, action="secrets:rotate", target="secret:blog/db", namespace="blog", change=True
)


@pytest.fixture
def ask(town):
    async def type_it(*, by=None, **options):
        return await (by or town.alice).slash(town.alerts, "machine changes", **options)

    return type_it


@pytest.fixture
def alice(town):
    return Actor(ActorKind.PERSON, str(town.alice.id), "alice")


async def record(town, *entries):
    for entry in entries:
        async with town.world.rooms.database.transaction() as tx:
            await town.world.rooms.journal.append(tx, entry)
        await town.world.pass_time(timedelta(minutes=1))


async def test_changes_of_the_last_hour_are_shown_privately_newest_first(town, ask, alice):
    await record(town, replace(SYNC, target="app:argocd/old"))
    await town.world.pass_time(timedelta(hours=2))
    await record(town, replace(SYNC, actor=alice), ROTATE)
    answer = await ask()
    shown = words_of(answer.response)
    assert answer.ephemeral
    assert "everywhere" in shown
    assert "2 changes" in shown
    assert f"<@{town.alice.id}> synced **shop** `4f1c2ab` → `9be01d7` in `shop`" in shown
    assert shown.index("rotated **db**") < shown.index("synced **shop**")
    assert "**old**" in words_of((await ask(since="3h")).response)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("shop", {"shop"}),
        ("namespace:shop", {"shop"}),
        ("argocd/shop", {"shop"}),
        ("app:argocd/shop", {"shop"}),
        ("blog", {"db"}),
        ("nowhere", set()),
    ],
)
async def test_changes_are_asked_for_by_namespace_or_application(town, ask, where, found):
    await record(town, SYNC, ROTATE)
    shown = words_of((await ask(where=where)).response)
    assert {name for name in ("shop", "db") if f"**{name}**" in shown} == found
    assert found or "Nothing that is known." in shown


async def test_a_change_says_how_it_ended(town, ask, alice):
    step = replace(SYNC, actor=alice, operation="op-1", detail={"state": "started"})
    failed = replace(step, actor=THE_MACHINE, outcome=Outcome.FAILED, detail={"state": "failed"})
    await record(town, step)
    assert "is syncing **shop**" in words_of((await ask()).response)
    await record(town, failed)
    shown = words_of((await ask()).response)
    assert f"<@{town.alice.id}> tried to sync **shop** in `shop`: it failed" in shown
    assert "1 change" in shown


async def test_a_long_list_is_turned_by_buttons_that_survive_a_restart(town, ask):
    await record(town, *(replace(SYNC, target=f"app:argocd/number-{number}") for number in range(12)))
    first = await ask(where="shop", since="2h")
    assert "page 1 of 2" in words_of(first.response)
    assert "**number-11**" in words_of(first.response)
    assert set(buttons_of(first.response)) == {"Older"}
    await town.restart()
    second = await town.alice.click(first.response, label="Older")
    assert "**number-0**" in words_of(second.response)
    assert "page 2 of 2" in words_of(second.response)
    back = await town.alice.click(second.response, label="Newer")
    assert "**number-11**" in words_of(back.response)


async def test_what_is_no_time_is_refused(town, ask):
    assert "Expected a time such as 2h" in (await ask(since="lately")).response.content
    assert len(town.refusals()) == 1


async def test_a_grant_for_a_namespace_shows_no_other_one(town, ask):
    grant = Grant(
        name="g", roles=frozenset({str(town.viewers.id)}), may=("machine:changes",), on=("namespace:shop",)
    )
    town.world.rooms.access.use(Policy((grant,)))
    await record(town, SYNC, ROTATE)
    shown = words_of((await ask(by=town.victor)).response)
    assert "**shop**" in shown
    assert "**db**" not in shown
    refused = await ask(by=town.victor, where="blog")
    assert "may" in refused.response.content
    assert len(town.refusals()) == 1


async def test_places_are_completed_from_open_incidents(town):
    await town.world.receive(a_body(an_entry(namespace="shop", app="api")))
    town.world.rooms.apps.known["api"] = "argocd/shop"
    await town.world.receive(
        a_body(an_entry(namespace="shopping", app="api"), group_labels={"alertname": "Other"})
    )
    choices = await town.alice.autocomplete(town.alerts, "machine changes", "where", "sho")
    assert [choice["value"] for choice in choices] == [
        "namespace:shop", "namespace:shopping", "app:argocd/shop",
    ]  # fmt: skip
    assert await town.victor.autocomplete(town.alerts, "machine changes", "where", "sho") == []


async def test_the_card_of_an_open_incident_says_what_changes_while_people_look(town):
    await record(town, SYNC)
    await town.world.receive(a_body(an_entry(namespace="shop", since=town.world.clock.now().isoformat())))
    assert "**Changed here in the hour before**" in words_of(town.alerts.last_message)
    assert "Argo CD synced **shop** `4f1c2ab` → `9be01d7`" in words_of(town.alerts.last_message)
    posted = town.alerts.last_message.id
    await town.world.pass_time(timedelta(minutes=1))
    await record(town, replace(SYNC, target="app:argocd/other"))
    shown = words_of(town.alerts.last_message)
    assert town.alerts.last_message.id == posted
    assert "hour before, and since**" in shown
    assert shown.index("**other**") < shown.index("**shop**")


async def test_a_silence_of_another_incident_leads_to_its_card(town, alice):
    await town.world.receive(a_body(an_entry(namespace="shop")))
    first = town.alerts.last_message
    await town.world.receive(a_body(an_entry("Other", namespace="shop"), group_labels={"alertname": "Other"}))
    silence = Entry(
        actor=alice,
        action="alerts:silence",
        target="incident:1",
        detail={"matchers": 'alertname="X"'},
        namespace="shop",
        incident=1,
        change=True,
    )
    await record(town, silence)
    assert f'silenced `alertname="X"` · [card]({first.jump_url})' in words_of(town.alerts.last_message)
    assert "silenced" not in words_of(first)
