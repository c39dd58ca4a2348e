"""Stories are told so that one sees what is wrong, on a phone, whatever the names are."""

import json
import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.argocd.card.stories import render_story
from bot.argocd.stories import Happening, News, Story
from bot.chat import layout
from bot.kube.model import ObjectKey
from tests.support.clock import NOON


def a_story(*news, closed=None, facts=None, wrong=None, key=None):
    return Story(
        id=7,
        key=key or ObjectKey("argocd", "shop"),
        channel_id=1,
        opened_at=NOON,
        closed_at=closed,
        happenings=tuple(Happening(news=each, at=NOON, words="why *it* did") for each in news),
        wrong=frozenset(news if wrong is None else wrong),
        facts=facts
        if facts is not None
        else {"project": "default", "health": "Degraded", "sync": "OutOfSync"},
    )


def shown(rendered):
    return "\n".join(str(item.content) for item in rendered.view.walk_children() if hasattr(item, "content"))


def labels(rendered):
    raw = json.dumps(rendered.view.to_components())
    return re.findall(r'"label": "([^"]*)"', raw.encode().decode("unicode_escape"))


def test_a_story_that_goes_on_says_what_is_worst():
    rendered = render_story(a_story(News.DRIFTED, News.DEGRADED), url="https://argocd.example.org/x")
    text = shown(rendered)
    assert text.startswith("### DEGRADED · shop")
    assert r"It became degraded: why \*it\* did" in text
    assert "[Open in Argo CD](https://argocd.example.org/x)" in text
    assert labels(rendered) == ["Status", "Diff", "Sync…"]
    assert rendered.marker == "tm:argo-news:7"
    assert not rendered.ping_roles


def test_a_story_that_is_over_says_so():
    done = a_story(News.DEGRADED, News.WELL, closed=NOON + timedelta(minutes=5), wrong=())
    text = shown(render_story(done))
    assert text.startswith("### WELL AGAIN · shop")
    assert "after 5 min" in text
    assert labels(render_story(done)) == ["Status"]
    deployed = a_story(News.DEPLOYED, closed=NOON, wrong=())
    assert "Another revision was deployed by why" in shown(render_story(deployed))
    assert shown(render_story(a_story(News.DELETED, closed=NOON, wrong=()))).startswith("### DELETED")


def test_what_is_mended_and_not_yet_well_is_no_deployment():
    text = shown(render_story(a_story(News.ERROR, wrong=())))
    assert text.startswith("### NOT YET WELL · shop")
    assert shown(render_story(a_story(News.DEPLOYED, wrong=()))).startswith("### DEPLOYED · shop")


def test_what_cannot_be_read_is_not_said_to_be_compared_with_a_branch():
    facts = {"revision": "main", "error": "no such *branch*", "message": "successfully synced"}
    text = shown(render_story(a_story(News.ERROR, facts=facts)))
    assert "compared with" not in text
    assert r"> no such \*branch\*" in text


@given(
    st.lists(st.sampled_from(list(News)), max_size=12),
    st.dictionaries(
        st.sampled_from(["project", "message", "differs", "revision", "health"]), st.text(max_size=500)
    ),
    st.text(min_size=1, max_size=300),
    st.booleans(),
)
def test_whatever_is_told_fits_into_a_message(news, facts, name, over):
    story = a_story(*news, facts=facts, key=ObjectKey("argocd", name), closed=NOON if over else None)
    assert layout.problems(render_story(story).view) == []
