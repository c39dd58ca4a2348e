"""How operations look, whatever is written in them."""

from dataclasses import replace
from datetime import timedelta

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.layout import GOOD, RUNNING, WAITING, problems
from bot.chat.text import escape
from bot.core.actor import THE_MACHINE
from bot.journal.model import Entry, Recorded
from bot.operations.card import (
    confirmed_words,
    progress_bar,
    render_details,
    render_operation,
    render_preview,
)
from bot.operations.model import Approval, Ending, Operation, OperationId, Progress, State, Wish
from tests.support.clock import NOON
from tests.support.operating import ADA, BOB, GITOPS, a_plan

ID = OperationId("0b5c8b1e-95a1-4d0c-9e0b-6a2f3c1d4e5f")
AGO = f"<t:{int(NOON.timestamp())}:R>"


def an_operation(state=State.PROGRESSING, **values) -> Operation:
    running = {"accepted_at": NOON, "started_at": NOON} if state.is_running else {}
    return Operation(
        **{
            "id": ID,
            "plan": a_plan(),
            "state": state,
            "asked_by": ADA,
            "asked_at": NOON,
            "confirmed_at": NOON,
            "channel_id": GITOPS,
            **running,
            **values,
        }
    )


def words(rendered) -> str:
    texts = (i.content for i in rendered.view.walk_children() if isinstance(i, discord.ui.TextDisplay))
    return "\n".join(texts)


def labels(rendered) -> list[str]:
    return [item.item.label for item in rendered.view.walk_children() if hasattr(item, "item")]


def colour(rendered):
    return rendered.view.children[0].accent_colour


def test_a_running_one_shows_how_far_it_is_and_what_it_waits_for():
    seen = Progress(
        state=State.PROGRESSING,
        fraction=0.64,
        step="wave 2 of 3",
        body=("waiting for **Deployment/api** to become healthy (2 of 3 replicas)",),
        counts="9 of 14 resources done · 0 failed",
    )
    card = render_operation(an_operation(progress=seen))

    assert words(card).splitlines() == [
        "### Syncing shop",
        f"-# asked by <@1> {AGO} · Argo CD · default / shop",
        "`████████████░░░░░░░░` 64 %   wave 2 of 3",
        "`4f1c2ab` → `9be01d7` fix(cart): retry payment",
        "waiting for **Deployment/api** to become healthy (2 of 3 replicas)",
        "-# 9 of 14 resources done · 0 failed",
        "-# [Open in Argo CD](https://argocd.example.org/applications/shop)",
    ]
    assert labels(card) == ["Terminate", "Details"]
    assert colour(card) == RUNNING


def test_once_it_runs_only_what_still_matters_of_the_plan_is_shown():
    plan = a_plan(body=("`1` → `2`", "compared long ago"), brief=("`1` → `2`",))
    for state in State:
        shown = words(render_operation(an_operation(state, plan=plan)))
        before = state in {State.REQUESTED, State.WAITING}
        assert ("compared long ago" in shown) is before
        assert "`1` → `2`" in shown
    assert "compared long ago" in words(render_details(an_operation(plan=plan), []))


def test_one_that_waits_says_how_many_must_approve_and_until_when():
    waiting = an_operation(
        State.WAITING,
        approvals_needed=2,
        approvals=(Approval(BOB, NOON),),
        expires_at=NOON + timedelta(minutes=30),
    )
    card = render_operation(waiting)

    assert words(card).startswith(f"### Sync shop?\n-# asked by <@1> {AGO} · approved by <@2> · Argo CD")
    assert "needs 1 approval · expires <t:" in words(card)
    assert labels(card) == ["Approve", "Decline…", "Details"]
    assert colour(card) == WAITING
    assert "1 approval, which may be given until <t:" in confirmed_words(waiting)


def test_one_that_is_over_shrinks():
    card = render_operation(
        an_operation(
            State.SUCCEEDED,
            started_at=NOON,
            ended_at=NOON + timedelta(seconds=42),
            outcome="Healthy after 42 s.",
            progress=Progress(state=State.SUCCEEDED, body=("long ago",), counts="14 of 14"),
        )
    )

    assert "### Synced shop" in words(card)
    assert "took 42 s" in words(card)
    assert "Healthy after 42 s." in words(card)
    assert "long ago" not in words(card)
    assert labels(card) == ["Details"]
    assert colour(card) == GOOD


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.SUPERSEDED, State.LOST])
def test_what_did_not_succeed_says_so_in_a_word_and_keeps_the_reasons(state):
    failed = Progress(state=State.FAILED, body=("**Deployment/api**: quota exceeded",))
    card = render_operation(an_operation(state, outcome="One resource failed.", progress=failed))

    assert words(card).startswith(f"### {state.value.upper()} · Sync shop")
    assert "quota exceeded" in words(card)


def test_what_cannot_be_seen_says_since_when():
    card = render_operation(an_operation(unseen_since=NOON, problem="It does not answer."))

    assert f"**cannot see Argo CD** since {AGO}: It does not answer." in words(card)


def test_what_is_to_end_is_not_asked_to_end_again():
    wished = an_operation(wish=Wish("cancel", BOB, NOON))
    abandoned = an_operation(
        State.STARTED,
        accepted_at=None,
        attempts=1,
        abandoned=Ending(State.CANCELLED, "Cancelled by <@2> before it began.", BOB),
    )

    assert "Terminate: asked for by <@2>" in words(render_operation(wished))
    assert labels(render_operation(wished)) == ["Details"]
    assert "It is looked up whether it had begun" in words(render_operation(abandoned))
    assert labels(render_operation(abandoned)) == ["Details"]


def test_offers_are_buttons_and_there_are_never_more_than_four():
    seen = Progress(state=State.PROGRESSING, offers=("discard", "try-again", "more"))
    card = render_operation(an_operation(progress=seen))

    assert labels(card) == ["Terminate", "Discard", "Try again", "Details"]


def test_the_preview_says_what_it_needs_and_can_be_confirmed():
    preview = an_operation(State.REQUESTED, confirmed_at=None, approvals_needed=1)
    card = render_preview(preview)

    assert "needs 1 approval" in words(card)
    assert "`4f1c2ab` → `9be01d7`" in words(card)
    assert labels(card) == ["Confirm", "Cancel"]


def test_a_long_body_is_cut_and_all_of_it_is_in_the_details():
    plan = a_plan(body=tuple(f"- deletes `ConfigMap/cm-{n}`" for n in range(300)))
    card = render_operation(an_operation(plan=plan))
    details = render_details(an_operation(plan=plan), [])

    assert "and 288 more lines, in Details" in words(card)
    assert b"cm-299" in details.files[0].content


def test_the_details_tell_what_the_journal_says():
    entries = [
        Recorded(1, NOON, Entry(actor=ADA, action="argocd:sync", detail={"state": "waiting"})),
        Recorded(2, NOON, Entry(actor=BOB, action="argocd:sync", detail={"step": "approved, 1 of 1"})),
        Recorded(3, NOON, Entry(actor=THE_MACHINE, action="argocd:sync", reason="Why.", detail={})),
    ]
    shown = words(render_details(an_operation(), entries))

    assert "`argocd:sync` waiting · <@1> · done" in shown
    assert "approved, 1 of 1 · <@2>" in shown
    assert "The Machine · done: Why." in shown
    assert ID in shown


@given(st.floats(-1, 2))
def test_a_bar_has_twenty_cells_and_is_full_only_at_the_end(fraction):
    bar, percent = progress_bar(fraction)[1:21], int(progress_bar(fraction)[23:-2])

    assert set(bar) <= {"█", "░"}
    assert 0 <= percent <= 100
    assert (bar.count("█") == 20) is (fraction >= 1) is (percent == 100)


TEXT = st.one_of(st.text(max_size=400), st.sampled_from(["x" * 5000, "*" * 900, "🔥" * 600]))
LINES = st.lists(TEXT.map(escape), max_size=40).map(tuple)


@settings(max_examples=150, deadline=None)
@given(
    state=st.sampled_from(State),
    plan=st.builds(
        a_plan,
        title=TEXT,
        doing=TEXT,
        done=TEXT,
        system=TEXT,
        place=TEXT,
        body=LINES,
        brief=LINES,
        cancel_label=TEXT,
        url=st.one_of(st.none(), TEXT),
    ),
    progress=st.builds(
        Progress,
        state=st.just(State.PROGRESSING),
        fraction=st.one_of(st.none(), st.floats(0, 1)),
        step=TEXT,
        body=LINES,
        counts=TEXT,
        offers=st.lists(st.from_regex(r"[a-z-]{1,20}", fullmatch=True), unique=True, max_size=5)
        .map(lambda offers: [each for each in offers if each != "cancel"])
        .map(tuple),
    ),
    outcome=TEXT.map(escape),
    problem=TEXT.map(escape),
    is_unseen=st.booleans(),
    ending=st.one_of(st.none(), st.builds(Ending, st.just(State.CANCELLED), TEXT.map(escape), st.just(BOB))),
)
def test_no_text_makes_a_card_that_discord_refuses(  # noqa: PLR0917 (hypothesis passes them by name)
    state, plan, progress, outcome, problem, is_unseen, ending
):
    operation = an_operation(
        state,
        plan=plan,
        progress=progress,
        outcome=outcome,
        problem=problem,
        note=problem,
        unseen_since=NOON if is_unseen else None,
        ended_at=NOON if state.is_final else None,
        approvals_needed=2,
        abandoned=ending,
    )
    for rendered in (
        render_operation(operation),
        render_preview(operation),
        render_details(replace(operation, note=outcome), []),
    ):
        assert problems(rendered.view) == []
    assert labels(render_operation(operation))[-1] == "Details"
