"""A page of the timeline says what happened, in lines that fit, whatever people wrote."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.timeline.card import render_page, render_timeline
from bot.alerts.timeline.model import (
    CALLED,
    CHANGED,
    MUTED,
    PAGE_ENTRIES,
    SILENCED,
    UNMUTED,
    UNSILENCED,
    Page,
)
from bot.chat.layout import content_length, problems
from bot.core.actor import THE_MACHINE, Actor, ActorKind
from bot.journal.model import Entry, Outcome, Recorded
from tests.support.alerts import NOON, an_alert, an_incident

ADA = Actor(ActorKind.PERSON, "7", "Ada")
HIDES = {"matchers": 'a="b"'}
COUNTS = {"severity": "WARNING", "firing": 2, "alerts": 3}


def recorded(action, *, by=THE_MACHINE, minutes=0, **more):
    return Recorded(minutes, NOON + timedelta(minutes=minutes), Entry(actor=by, action=action, **more))


def page(*entries, number=1, incident=None):
    shown = incident or an_incident(an_alert(namespace="prod"))
    return render_timeline(shown, entries, page=number, key=f"417/{number}")


def private(*entries, number=1, of=1, incident=None):
    return render_page(Page(incident or an_incident(an_alert(namespace="prod")), entries, number, of))


def texts(rendered):
    return texts_of(rendered.view)


def texts_of(view):
    return [item.content for item in view.walk_children() if hasattr(item, "content")]


def buttons(view):
    """The custom_ids of the buttons by their labels, of those only that can be pressed."""
    found = [item.item for item in view.walk_children() if hasattr(item, "item")]
    return {button.label: button.custom_id for button in found if not button.disabled}


def lines(rendered):
    return [line.partition("> ")[2] for line in texts(rendered)[-1].splitlines()]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (recorded("alerts:opened", detail=COUNTS), "**Fires** · WARNING · 2 of 3 alerts fire"),
        (recorded("alerts:reopened", detail=COUNTS | {"firing": 1, "alerts": 1}), "**Fires again** · WARNING · 1 alert fires"),
        (recorded("alerts:severity-rose", detail=COUNTS), "**Got worse** · WARNING · 2 of 3 alerts fire"),
        (recorded(CHANGED, detail=COUNTS), "2 of 3 alerts fire now"),
        (recorded("alerts:resolved", detail=COUNTS), "**Resolved**"),
        (recorded("alerts:unknown"), "**Unknown** whether it still fires"),
        (recorded(CALLED, reason="fired again", detail={"called": "role:oncall, user:9"}), "Called **oncall**, <@9>: *fired again*"),
        (recorded(MUTED), "Alertmanager keeps it quiet"),
        (recorded(MUTED, detail={"inhibited": True}), "Quiet: another alert inhibits it"),
        (recorded(MUTED, detail={"at_this_time": True}), "Quiet: muted at this time"),
        (recorded(UNMUTED), "Quiet no more"),
        (recorded(SILENCED, detail=HIDES | {"by": "Ada", "by_id": "7"}), '<@7> silenced `a="b"`'),
        (recorded(SILENCED, detail=HIDES | {"by": "ca*rol"}), '**ca\\*rol** silenced `a="b"`'),
        (recorded(SILENCED, detail=HIDES | {"by": "carol", "quiet": 2}), '**carol** silenced `a="b"` for 2 of its alerts'),
        (recorded(SILENCED, detail=HIDES | {"replaces": True}), 'Somebody changed the silence of `a="b"`'),
        (recorded(SILENCED), "Somebody silenced it"),
        (recorded(UNSILENCED, detail=HIDES | {"by": "Ada", "by_id": "7"}), '<@7> ended the silence of `a="b"`'),
        (recorded(UNSILENCED, detail=HIDES), 'The silence of `a="b"` is over'),
        (recorded(UNSILENCED, detail=HIDES | {"still": True}), 'The silence of `a="b"` is over: still quiet'),
        (recorded("alerts:ack", by=ADA, reason="on it"), "<@7> acknowledged it: *on it*"),
        (recorded("alerts:unack", by=ADA), "<@7> gave it back"),
        (recorded("alerts:resolve", by=ADA, reason="done"), "<@7> closed it by hand: *done*"),
        (recorded("alerts:silence", by=ADA, reason="too long", outcome=Outcome.REFUSED), "<@7> may not silence it: *too long*"),
        (recorded("alerts:silence", by=ADA, reason="down", outcome=Outcome.FAILED), "<@7> could not silence it: *down*"),
        (recorded("alerts:unsilence", by=ADA, detail={"matchers": 'a="b"'}), '<@7> ended the silence of `a="b"`'),
        (recorded("oncall:escalated", target="schedule:primary"), "The Machine used `oncall:escalated` on **primary**"),
    ],
)  # fmt: skip
def test_each_entry_is_a_line(entry, said):
    assert lines(page(entry)) == [said]


def test_a_silence_says_until_when():
    until = NOON + timedelta(hours=2)
    entry = recorded("alerts:silence", by=ADA, detail={"matchers": 'a="b"', "until": until.isoformat()})
    assert lines(page(entry)) == [f'<@7> silenced `a="b"` until <t:{int(until.timestamp())}:t>']


def test_a_change_of_a_silence_does_not_repeat_its_comment():
    detail = {"matchers": 'a="b"', "replaces": True}
    said = '<@7> changed the silence of `a="b"`'
    assert lines(page(recorded("alerts:silence", by=ADA, reason="moving · #1", detail=detail))) == [said]
    failed = recorded("alerts:silence", by=ADA, reason="down", detail=detail, outcome=Outcome.FAILED)
    assert lines(page(failed)) == ["<@7> could not silence it: *down*"]


@pytest.mark.parametrize("action", ["alerts:silence", SILENCED])
def test_until_when_is_said_however_much_is_silenced(action):
    until = NOON + timedelta(days=2)
    detail = {"matchers": "a=" + "b" * 200, "until": until.isoformat(), "replaces": True}
    by = Actor(ActorKind.PERSON, "9" * 20, "Ada")
    assert lines(page(recorded(action, by=by, detail=detail)))[0].endswith(
        f"until <t:{int(until.timestamp())}:f>"
    )


def test_the_day_is_said_first_and_again_after_a_while():
    shown = page(*(recorded("alerts:unknown", minutes=minutes) for minutes in (0, 1, 13 * 60)))
    assert [line.split(":")[2][0] for line in texts(shown)[-1].splitlines()] == ["f", "t", "f"]


def test_the_head_says_of_what_and_which_page():
    assert texts(page(recorded("alerts:unknown")))[0].splitlines() == [
        "### TIMELINE · KubePodCrashLooping",
        "-# #417 · prod",
    ]
    assert texts(page(recorded("alerts:unknown"), number=2))[0].startswith(
        "### TIMELINE · KubePodCrashLooping, continued (2)"
    )


def test_who_asks_alone_reads_the_same_words_and_which_page_it_is():
    told = [recorded("alerts:opened", detail=COUNTS), recorded("alerts:ack", by=ADA, minutes=1)]
    head, said = texts_of(private(*told, number=2, of=3))
    assert head.splitlines() == ["### TIMELINE · KubePodCrashLooping", "-# #417 · prod · page 2 of 3"]
    assert said == texts(page(*told))[-1]


def test_a_timeline_of_one_page_is_not_turned_and_leads_back_to_the_details():
    alone = private(recorded("alerts:unknown"))
    assert texts_of(alone)[0].splitlines()[-1] == "-# #417 · prod"
    assert buttons(alone) == {"Details": "tm:details:417.0"}


@pytest.mark.parametrize(
    ("number", "offered"),
    [
        (1, {"Next": "tm:timeline-page:417.2"}),
        (2, {"Previous": "tm:timeline-page:417.1", "Next": "tm:timeline-page:417.3"}),
        (3, {"Previous": "tm:timeline-page:417.2"}),
    ],
)
def test_pages_are_turned_where_there_are_more(number, offered):
    assert buttons(private(number=number, of=3)) == {**offered, "Details": "tm:details:417.0"}


def test_before_anything_is_written_down_it_says_so():
    assert texts_of(private())[-1] == "Nothing is written down yet."


def test_it_leaves_phones_quiet_and_pings_nobody():
    shown = page(recorded("alerts:ack", by=ADA))
    assert shown.silent
    assert shown.ping_roles == shown.ping_users == ()


_ACTIONS = ["alerts:opened", "alerts:ack", "alerts:silence", "alerts:unsilence", CALLED, CHANGED, "x:y"]
_ACTIONS += [MUTED, SILENCED, UNSILENCED]


@given(
    st.lists(
        st.builds(
            recorded,
            st.sampled_from(_ACTIONS),
            by=st.builds(Actor, st.just(ActorKind.PERSON), st.text(max_size=30), st.text()),
            minutes=st.integers(0, 10**6),
            reason=st.text(),
            target=st.text(),
            outcome=st.sampled_from(Outcome),
            detail=st.dictionaries(
                st.sampled_from(
                    [
                        "called",
                        "matchers",
                        "until",
                        "firing",
                        "severity",
                        "alerts",
                        "title",
                        "by",
                        "by_id",
                        "quiet",
                    ]
                ),
                st.text() | st.integers(0, 10**9),
            ),
        ),
        max_size=PAGE_ENTRIES,
    ),
    st.text(),
)
def test_whatever_was_written_a_page_fits_into_a_message(entries, name):
    incident = an_incident(an_alert(namespace=name * 50), group_labels={"alertname": name * 50})
    shown = page(*entries, number=99, incident=incident)
    assert problems(shown.view) == []
    assert problems(private(*entries, number=98, of=99, incident=incident)) == []


def test_the_longest_lines_fill_a_page_without_bursting_it():
    entry = recorded("alerts:ack", by=Actor(ActorKind.PERSON, "9" * 20, ""), reason="\U0001f525" * 500)
    told, incident = [entry] * PAGE_ENTRIES, an_incident(an_alert("x" * 400, namespace="y" * 400))
    assert 3_000 < content_length(page(*told, incident=incident).view) <= 4_000
    assert 3_000 < content_length(private(*told, number=998, of=999, incident=incident)) <= 4_000
