"""Whatever Argo CD says, its cards can be sent, and ping nobody."""

from collections.abc import Mapping
from dataclasses import replace

import discord
from hypothesis import given
from hypothesis import strategies as st

from bot.argocd.card.changes import render_differences
from bot.argocd.card.crowds import render_crowd
from bot.argocd.card.ending import render_ending
from bot.argocd.card.listing import render_list, render_tree
from bot.argocd.card.parts import key_of, name_in, page_in, page_key
from bot.argocd.card.past import render_history
from bot.argocd.card.sets import render_set, render_set_refreshed, render_sets
from bot.argocd.card.standing import render_refreshed, render_status
from bot.argocd.model import Application
from bot.argocd.stories import News, Story, crowd_of
from bot.argocd.views import (
    Commit,
    Differences,
    Grown,
    Listing,
    Past,
    Refreshed,
    SetListing,
    SetRefreshed,
    SetStanding,
    Standing,
)
from bot.chat.text import escape
from bot.kube.model import ObjectKey
from bot.operations.model import Operation, OperationId, State
from tests.support.clock import NOON
from tests.support.hostile import HOSTILE, anything, assert_sound, slowly
from tests.support.operating import ADA, CHANNEL, a_plan

OPERATIONS = st.builds(
    Operation,
    id=st.just(OperationId("00000000-0000-4000-8000-000000000001")),
    plan=st.builds(a_plan, title=HOSTILE, doing=HOSTILE),
    state=st.sampled_from(State),
    asked_by=st.just(ADA),
    asked_at=st.just(NOON),
    channel_id=st.just(CHANNEL),
    outcome=st.sampled_from(["", "It is over."]),
)
KNOWN = {Operation: OPERATIONS}
OURS = frozenset({f"<@{ADA.id}>", f"<#{CHANNEL}>"})
TROUBLE = {
    frozenset[News]: st.frozensets(st.sampled_from(News)),
    Mapping[str, str]: st.fixed_dictionaries({"error": HOSTILE, "message": HOSTILE}),
}
KEYS = st.builds(ObjectKey, st.text(max_size=12), st.text(max_size=12))


@slowly
@given(anything(Standing, KNOWN))
def test_no_text_breaks_a_status(standing):
    assert_sound(render_status(standing).view, mentions=OURS)


@slowly
@given(anything(Refreshed))
def test_no_text_breaks_what_a_refresh_found(refreshed):
    assert_sound(render_refreshed(refreshed).view)


@slowly
@given(anything(Listing), st.integers(1, 9))
def test_no_text_breaks_a_list(listing, times):
    made = render_list(replace(listing, applications=listing.applications * times))
    assert_sound(made.view)


@slowly
@given(anything(Grown), st.integers(1, 40))
def test_no_text_breaks_a_tree(grown, times):
    assert_sound(render_tree(replace(grown, branches=grown.branches * times)).view)


@slowly
@given(anything(Past), st.lists(st.none() | anything(Commit), max_size=3))
def test_no_text_breaks_a_history(past, commits):
    whole = replace(past, commits=tuple(tuple(commits) for _ in past.entries))
    assert_sound(render_history(whole).view)


@slowly
@given(anything(Differences), st.integers(-3, 9))
def test_no_text_breaks_a_difference(found, page):
    # These sentences are safe already: they may come from an error.
    safe = replace(found, why_only_named=escape(found.why_only_named), why_unknown=escape(found.why_unknown))
    assert_sound(render_differences(safe, page).view)


@slowly
@given(anything(SetListing), anything(SetStanding), anything(SetRefreshed))
def test_no_text_breaks_what_is_said_of_sets(listing, standing, refreshed):
    assert_sound(render_sets(listing).view)
    assert_sound(render_set(standing).view)
    assert_sound(render_set_refreshed(refreshed).view)


@slowly
@given(OPERATIONS)
def test_no_text_breaks_what_is_said_of_an_ending(operation):
    assert_sound(render_ending(operation).view, mentions=OURS)


@slowly
@given(st.lists(anything(Story, TROUBLE), min_size=1, max_size=4), st.integers(1, 5))
def test_no_text_breaks_a_crowd(stories, times):
    named = (
        replace(story, key=ObjectKey(story.key.namespace, f"{story.key.name}{time}"))
        for story in stories
        for time in range(times)
    )
    assert_sound(render_crowd(crowd_of(7, named)).view)


@given(KEYS, st.integers(-1, 99))
def test_the_key_of_a_button_gives_back_what_it_was_made_of(key, page):
    whole, turned = key_of(key), page_key(key, page)
    assert whole is None or name_in(whole) == "/".join(key).encode("utf-8", "replace").decode()
    assert whole is None or page_in(whole)[1] is None
    assert turned is None or page_in(turned)[1] == page


@slowly
@given(anything(Application))
def test_there_are_never_more_than_four_buttons_in_a_row(application):
    refreshed = Refreshed(before=application, after=application, hard=False, took_seconds=1, is_done=True)
    made = render_refreshed(refreshed)
    for item in made.view.walk_children():
        assert not isinstance(item, discord.ui.ActionRow) or len(item.children) <= 4
