"""How silences look, whatever their authors wrote."""

import re
from dataclasses import replace

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.alerts.model.incident import IncidentNumber, Muting
from bot.alerts.peers.authors import created_by
from bot.alerts.peers.model import Silence, SilenceState
from bot.alerts.silences.card import (
    created_words,
    event_words,
    render_ending,
    render_event,
    render_preview,
    render_silence,
    silenced_lines,
)
from bot.alerts.silences.ending import Heard
from bot.alerts.silences.model import (
    Breadth,
    Draft,
    Event,
    Judgement,
    Moment,
    Preview,
    SilencePolicy,
    Verdict,
)
from bot.chat.layout import problems
from bot.chat.replies import LONGEST_CONTENT
from bot.core.actor import Actor, ActorKind
from bot.core.matchers import Matcher, MatchOp, parse_matchers
from tests.support.alerts import an_alert, an_incident, at

HAROLD = created_by(Actor(ActorKind.PERSON, "42", "harold"))
KEY = "d41d8cd98f"

texts = st.text(max_size=300) | st.just("@everyone <@&7> [x](https://e.example) `a` " * 6)
few = settings()
"""Each draws whole messages."""

matcher_lists = st.lists(
    st.builds(Matcher, st.text(min_size=1, max_size=60), st.just(MatchOp.EQUAL), texts),
    min_size=1,
    max_size=30,
)


def a_silence(**fields) -> Silence:
    made = Silence(
        id="s1",
        matchers=parse_matchers('alertname="Disk"'),
        starts_at=at(0),
        ends_at=at(60),
        created_by=HAROLD,
        comment="upgrade",
        state=SilenceState.ACTIVE,
    )
    return replace(made, **fields)


def shown(view: discord.ui.LayoutView) -> str:
    return "\n".join(
        item.content for item in view.walk_children() if isinstance(item, discord.ui.TextDisplay)
    )


def labels(view: discord.ui.LayoutView) -> list[str]:
    return [item.item.label for item in view.walk_children() if isinstance(item, discord.ui.DynamicItem)]


def a_preview_of(judgement: Judgement, **fields) -> discord.ui.LayoutView:
    draft = Draft(matchers=parse_matchers('alertname="Disk"'), ends_at=at(60))
    preview = replace(Preview(alerts=2, critical=1, already_muted=0), **fields)
    named = {IncidentNumber(7): an_incident(an_alert("Disk"), number=7)}
    return render_preview(draft, preview, judgement, policy=SilencePolicy(), named=named, key=KEY)


def test_a_preview_says_what_it_hides_and_offers_the_button():
    view = a_preview_of(Judgement(Verdict.FINE), others=(IncidentNumber(7), IncidentNumber(8)))
    assert "It matches 2 firing alerts, 1 of them critical." in shown(view)
    assert "It hides #7 Disk, #8." in shown(view)
    assert labels(view) == ["Silence", "Change"]


def test_a_broad_one_says_why_and_has_to_be_confirmed():
    view = a_preview_of(Judgement(Verdict.CONFIRM, (Breadth.CRITICAL, Breadth.LONG)))
    assert "- It silences 1 critical alert." in shown(view)
    assert "- It lasts longer than 8 h." in shown(view)
    assert labels(view) == ["Silence all the same", "Change"]


def test_a_refused_one_says_why_and_can_only_be_changed():
    view = a_preview_of(Judgement(Verdict.REFUSE, (Breadth.LONG,)))
    assert "- It lasts longer than 30 d." in shown(view)
    assert labels(view) == ["Change"]


def an_ending(**fields) -> discord.ui.LayoutView:
    heard = Heard(
        **{"alerts": 3, "critical": 1, "incidents": (IncidentNumber(7), IncidentNumber(8)), **fields}
    )
    named = {IncidentNumber(7): an_incident(an_alert("Disk"), number=7)}
    return render_ending(a_silence(), heard, named=named, key="i/6", mark="m")


def test_the_question_before_an_end_says_what_else_is_heard_again():
    view = an_ending(besides=IncidentNumber(6))
    assert shown(view).startswith('### End this silence? It hides other incidents\n`alertname="Disk"`')
    assert "**3 more alerts will be heard again, 1 of them critical.**" in shown(view)
    assert "It also hides #7 Disk, #8." in shown(view)
    assert labels(view) == ["End all the same", "Change"]


def test_where_it_was_ended_for_none_of_them_all_are_named():
    assert "It hides several incidents" in shown(an_ending())
    assert "**3 alerts will be heard again, 1 of them critical.**\nIt hides #7 Disk, #8." in shown(
        an_ending()
    )


def test_what_is_not_known_exactly_is_said_to_be_at_most_that():
    view = an_ending(besides=IncidentNumber(6), alerts=1, is_exact=False)
    assert "**Up to 1 more alert will be heard again, up to 1 of them critical.**" in shown(view)


def test_an_alertmanager_that_could_not_be_asked_is_named():
    assert "`backup` could not be asked" in shown(a_preview_of(Judgement(Verdict.FINE), silent=("backup",)))


def test_a_card_says_who_silenced_it_until_when_and_why():
    muting = Muting(silences=("s1",), alerts=2, firing=2)
    (line,) = silenced_lines(muting, {"s1": a_silence()})
    end = int(at(60).timestamp())
    assert line == f"Silenced by <@42> until <t:{end}:t> (<t:{end}:R>): *upgrade*"


def test_a_card_that_is_silenced_in_part_says_how_much():
    muting = Muting(silences=("s1",), alerts=1, firing=3)
    assert silenced_lines(muting, {})[0] == "Silenced by `s1`, 1 of 3 alerts"


def test_a_card_says_what_else_keeps_it_quiet():
    muting = Muting(inhibitors=("f1",), intervals=("nights",), alerts=1, firing=1)
    assert silenced_lines(muting, {}, ["NodeDown"]) == [
        "Inhibited by `NodeDown`",
        "Muted at this time by `nights`",
    ]


def test_many_silences_are_counted():
    muting = Muting(silences=tuple("abcde"), alerts=1, firing=1)
    assert silenced_lines(muting, {})[-1] == "and by 2 more silences"


def test_a_silence_that_is_over_has_no_buttons():
    assert labels(render_silence(a_silence(), source="main", key=KEY, is_over=False)) == [
        "Extend",
        "Change",
        "End now",
    ]
    assert labels(render_silence(a_silence(), source="main", key=KEY, is_over=True)) == []


@pytest.mark.parametrize("moment", Moment)
def test_every_moment_of_its_life_has_words(moment):
    event = Event(moment, a_silence(), a_silence(ends_at=at(30)))
    title, text = event_words(event, source="main")
    assert title
    assert '`alertname="Disk"`' in text
    assert problems(render_event(event, source="main", key=KEY)) == []


def test_the_asker_is_told_where_it_was_made_and_where_not():
    draft = Draft(matchers=parse_matchers('a="b"'), ends_at=at(60))
    said = created_words({"main": "s1", "two": "s2"}, {"three": "It is down."}, draft)
    assert said.startswith("Silenced in `main` and `two` until")
    assert "Not in `three`: It is down." in said


@few
@given(
    matchers=matcher_lists,
    others=st.lists(st.integers(1, 10**9).map(IncidentNumber), max_size=30),
    names=st.lists(texts, max_size=20),
    verdict=st.sampled_from(Verdict),
    title=texts,
)
def test_a_preview_always_fits(matchers, others, names, verdict, title):
    draft = Draft(matchers=tuple(matchers), ends_at=at(60))
    preview = Preview(
        alerts=10**6,
        critical=10**6,
        already_muted=10**6,
        others=tuple(others),
        names=tuple(names),
        silent=tuple(names),
    )
    named = {number: an_incident(an_alert(title or "x"), number=number) for number in others}
    judgement = Judgement(verdict, tuple(Breadth))
    heard = Heard(alerts=10**6, critical=10**6, incidents=tuple(others), is_exact=False)
    silence = a_silence(matchers=tuple(matchers))
    assert problems(render_ending(silence, heard, named=named, key=f"s/{'a' * 36}", mark="b" * 16)) == []
    assert (
        problems(render_preview(draft, preview, judgement, policy=SilencePolicy(), named=named, key=KEY))
        == []
    )


@few
@given(matchers=matcher_lists, by=texts, comment=texts, source=texts, moment=st.sampled_from(Moment))
def test_a_silence_and_its_news_always_fit_and_name_nobody(matchers, by, comment, source, moment):
    silence = a_silence(matchers=tuple(matchers), created_by=by, comment=comment)
    for view in (
        render_silence(silence, source=source, key=KEY, is_over=False),
        render_event(Event(moment, silence, a_silence()), source=source, key=KEY),
    ):
        assert problems(view) == []
        assert "@everyone" not in re.sub(r"\\.|`[^`]*`", "", shown(view))
    muting = Muting(silences=("s1",), inhibitors=("f",), intervals=(source,), alerts=1, firing=2)
    for line in silenced_lines(muting, {"s1": silence}, [by] * 10):
        assert 0 < len(line.encode("utf-16-le", "surrogatepass")) // 2 <= 400
        assert "\n" not in line


@given(sources=st.lists(texts, max_size=5, unique=True))
def test_the_answer_to_the_asker_always_fits(sources):
    draft = Draft(matchers=parse_matchers('a="b"'), ends_at=at(60))
    failed = dict.fromkeys(sources, "x" * 3000)
    assert len(created_words({}, failed, draft)) <= LONGEST_CONTENT
