import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import discord
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.alerts.card import (
    Look,
    render_acknowledged,
    render_details,
    render_explained,
    render_incident,
    render_list,
    render_ping,
    state_word,
)
from bot.alerts.model.alert import Alert
from bot.alerts.model.incident import Acknowledgement, Closing, Incident, Muting, State
from bot.alerts.model.severity import Severity
from bot.alerts.routing import Route, explain_routes
from bot.chat import layout
from bot.chat.rendered import Rendered
from bot.core.matchers import parse_matchers
from tests.support.alerts import an_alert, an_incident, at

ALICE = "70000000000000007"
LOOK = Look(now=at(60))
CALLING = Look(
    now=at(60), mentions=("<@&80000000000000008>",), ping_roles=(80000000000000008,), ping_users=(9,)
)


def texts(made: Rendered | discord.ui.LayoutView) -> str:
    view = made.view if isinstance(made, Rendered) else made
    return "\n".join(
        item.content for item in view.walk_children() if isinstance(item, discord.ui.TextDisplay)
    )


def buttons(made: Rendered | discord.ui.LayoutView) -> dict[str, str]:
    """Return the labels of the pressable buttons, by custom_id."""
    view = made.view if isinstance(made, Rendered) else made
    items = (getattr(item, "item", item) for item in view.walk_children())
    found = [item for item in items if isinstance(item, discord.ui.Button) and not item.disabled]
    return {button.custom_id: button.label for button in found}


def colour(made: Rendered) -> discord.Colour | int | None:
    (box,) = made.view.children
    assert isinstance(box, discord.ui.Container)
    return box.accent_colour


def card(incident: Incident, look: Look = LOOK) -> Rendered:
    return render_incident(incident, look=look)


def stamp(moment: datetime, style: str = "R") -> str:
    return f"<t:{int(moment.timestamp())}:{style}>"


def pods(count: int, **more: object) -> list[Alert]:
    ends = "bcdfghjklm"
    return [
        an_alert(namespace="prod", pod=f"checkout-7d9f5b6c4-x2x{a}{b}", since=at(number), **more)
        for number, (a, b) in enumerate([(a, b) for a in ends for b in ends][:count])
    ]


# The card of an open incident


def test_a_firing_card_says_what_where_since_when_and_which():
    about = {"summary": "Pod checkout restarts every 40 s", "description": "back-off 5m0s restarting"}
    shown = texts(card(an_incident(*pods(3, severity="critical", annotations=about))))
    assert shown.splitlines() == [
        "### CRITICAL · KubePodCrashLooping",
        f"-# #417 · firing since {stamp(at(0))} · 3 alerts · prod / checkout",
        "Pod checkout restarts every 40 s",
        "> back-off 5m0s restarting",
        f"`checkout-7d9f5b6c4-x2xbb` since {stamp(at(0))}",
        f"`checkout-7d9f5b6c4-x2xbc` since {stamp(at(1))}",
        f"`checkout-7d9f5b6c4-x2xbd` since {stamp(at(2))}",
        (
            "-# [silence](https://alertmanager.example.org/#/silences/new?filter=%7Balertname%3D%22KubePod"
            "CrashLooping%22%2C%20namespace%3D%22prod%22%2C%20severity%3D%22critical%22%7D)"
        ),
    ]


@pytest.mark.parametrize(
    ("severity", "word", "accent"),
    [
        ("critical", "CRITICAL", layout.CRITICAL),
        ("warning", "WARNING", layout.WARNING),
        ("info", "INFO", layout.RUNNING),
    ],
)
def test_the_severity_is_a_word_and_a_colour(severity, word, accent):
    made = card(an_incident(an_alert(severity=severity)))
    assert texts(made).startswith(f"### {word} · ")
    assert colour(made) == accent


def test_a_card_has_the_buttons_of_what_one_can_do():
    made = card(an_incident())
    assert buttons(made) == {
        "tm:ack:417": "Acknowledge",
        "tm:details:417": "Details",
        "tm:silence:417": "Silence…",
    }
    assert made.marker == "tm:details:417"


def test_an_acknowledged_card_says_who_when_and_why_and_can_be_given_back():
    held = Acknowledgement(ALICE, "alice", at(2), "cleaning old images")
    made = card(an_incident(acknowledgement=held), CALLING)
    assert f"Acknowledged by <@{ALICE}> {stamp(at(2))}: *cleaning old images*" in texts(made)
    assert list(buttons(made).values()) == ["Unacknowledge", "Details", "Silence…"]


OF_SILENCE = ["Extend", "Change silence", "End silence"]


@pytest.mark.parametrize(
    ("muting", "word", "offered"),
    [
        (Muting(silences=("s1",), alerts=1, firing=1), "SILENCED", OF_SILENCE),
        (Muting(silences=("s1",), alerts=1, firing=2), "CRITICAL", ["Silence…", *OF_SILENCE]),
        (Muting(inhibitors=("f1",), alerts=1, firing=1), "MUTED", ["Silence…"]),
    ],
)
def test_a_quiet_card_says_why_and_offers_what_can_be_done_about_it(muting, word, offered):
    quiet = replace(an_incident(severity=Severity.CRITICAL), muting=muting)
    made = card(quiet, replace(CALLING, silenced=("Silenced by **carol**",)))
    assert texts(made).startswith(f"### {word} · ")
    assert "Silenced by **carol**" in texts(made)
    assert list(buttons(made).values()) == ["Acknowledge", "Details", *offered]


def test_a_card_calls_and_pings_until_somebody_has_it():
    open_one = an_incident()
    called = card(open_one, CALLING)
    assert "Called <@&80000000000000008>" in texts(called)
    assert (called.ping_roles, called.ping_users) == ((80000000000000008,), (9,))
    for settled in (
        replace(open_one, acknowledgement=Acknowledgement(ALICE, "alice", at(1))),
        replace(open_one, closed_at=at(5), state=State.RESOLVED),
    ):
        made = card(settled, CALLING)
        assert "<@&" not in texts(made)
        assert (made.ping_roles, made.ping_users) == ((), ())


CHANGES = ("**Changed here**", "alice synced **shop**", "bob rotated **db**")


def test_what_changed_stands_between_what_is_wrong_and_the_people_behind_a_line():
    incident = an_incident(an_alert(annotations={"summary": "It is full"}), notes={"oncall": "Paged bob"})
    made = card(incident, replace(LOOK, changes=CHANGES))
    (box,) = made.view.children
    kinds = [type(item).__name__ for item in box.children]
    lines = texts(made)
    assert lines.index("It is full") < lines.index("Changed here") < lines.index("Paged bob")
    assert box.children[kinds.index("Separator", 2)].visible
    assert "\n".join(CHANGES) in lines


def test_without_changes_there_is_no_line():
    (box,) = card(an_incident()).view.children
    assert not any(getattr(item, "visible", False) is True for item in box.children if "Sep" in repr(item))


def test_changes_that_do_not_fit_are_left_out_whole():
    changes = ("**Changed here**", "short", "x" * 1_500)
    assert "short" in texts(card(an_incident(), replace(LOOK, changes=changes)))
    assert "x" * 20 not in texts(card(an_incident(), replace(LOOK, changes=changes)))
    assert "Changed here" not in texts(card(an_incident(), replace(LOOK, changes=("**Changed here**",))))


def test_a_closed_card_says_nothing_of_changes():
    made = card(an_incident(an_alert(until=at(5))), replace(LOOK, changes=CHANGES))
    assert "Changed here" not in texts(made)


def test_a_reopened_card_says_so():
    made = texts(card(an_incident(reopened=1, reopened_at=at(40))))
    assert f"firing since {stamp(at(40))}" in made
    assert "Fired again 40 min after it first did." in made
    again = texts(card(an_incident(reopened=3, reopened_at=at(40))))
    assert "Fired again 3 times, the last 40 min after it first did." in again


def test_a_card_says_how_many_were_cut_off():
    assert "-# 7 more were cut off by the sender" in texts(card(an_incident(truncated=7)))


def test_resolved_alerts_of_an_open_card_are_counted():
    assert "· 1 of 2 alerts fire" in texts(
        card(an_incident(an_alert(pod="a"), an_alert(pod="b", until=at(5))))
    )


def test_the_lines_of_other_rooms_stand_in_the_order_of_their_slots():
    shown = texts(card(an_incident(notes={"b": "next <@2> in 5 min", "a": "Paged <@1>"})))
    assert shown.index("Paged <@1>") < shown.index("next <@2> in 5 min")


def test_links_are_text_and_unsafe_ones_are_left_out():
    notes = {"runbook_url": "https://runbooks.example.org/x", "dashboard_url": "javascript:alert(1)"}
    incident = an_incident(an_alert(annotations=notes, generator_url="https://p.example.org/g?x=(1)"))
    (linked,) = [line for line in texts(card(incident)).splitlines() if "[runbook]" in line]
    assert linked.startswith("-# [runbook](https://runbooks.example.org/x) · [query](https://p.example.org/")
    assert "dashboard" not in linked


def test_more_than_five_firing_alerts_are_listed_in_a_file():
    made = card(an_incident(*pods(12)))
    assert texts(made).count("` since <t:") == 5
    assert "-# and 7 more in the attached list" in texts(made)
    (file,) = made.files
    assert file.name == "alerts-417.txt"
    assert file.content.decode().count("pod: checkout") == 12


def test_what_was_cut_is_in_a_file():
    assert not card(an_incident(*pods(5))).files
    assert not card(an_incident(an_alert(annotations={"description": "a\nb\n\nc"}))).files
    for about in ({"summary": "x" * 500}, {"description": "a\nb\nc\nd"}, {"description": "x" * 600}):
        assert card(an_incident(an_alert(annotations=about))).files


def test_a_description_is_cut_to_three_lines():
    shown = texts(card(an_incident(an_alert(annotations={"description": "a\nb\nc\nd"}))))
    assert "> a\n> b\n> c …" in shown


# Other states


def test_a_resolved_card_shrinks():
    held = Acknowledgement(ALICE, "alice", at(2))
    gone = an_alert("TargetDown", namespace="monitoring", annotations={"summary": "Down"}, until=at(12))
    made = card(an_incident(gone, acknowledgement=held))
    assert texts(made).splitlines() == [
        "### RESOLVED · TargetDown",
        f"-# #417 · lasted 12 min, until {stamp(at(12), 't')} · 1 alert · monitoring",
        f"Acknowledged by <@{ALICE}> after 2 min",
    ]
    assert buttons(made) == {"tm:details:417": "Details", "tm:timeline-page:417": "Timeline"}
    assert colour(made) == layout.GOOD


def test_a_card_closed_by_hand_says_by_whom():
    made = card(an_incident(closed_at=at(5), closing=Closing(ALICE, "alice", "disk replaced")))
    assert texts(made).startswith("### CLOSED · ")
    assert f"closed after 5 min, at {stamp(at(5), 't')}" in texts(made)
    assert f"Closed by hand by <@{ALICE}>: *disk replaced*" in texts(made)


def test_one_who_is_not_in_discord_is_named():
    closing = Closing("the-machine", "The *Machine*")
    assert r"by **The \*Machine\***" in texts(card(an_incident(closed_at=at(5), closing=closing)))


@pytest.mark.parametrize(
    ("truncated", "why"), [(7, "it cut 7 more off: they may still fire"), (0, "does not list it any more")]
)
def test_an_unknown_card_says_since_when_and_why(truncated, why):
    incident = an_incident(
        an_alert(until=at(5)), state=State.UNKNOWN, unknown_since=at(5), truncated=truncated
    )
    made = card(incident)
    assert texts(made).startswith("### UNKNOWN · ")
    assert f"unknown since {stamp(at(5))}, warning before" in texts(made)
    assert why in texts(made)
    assert colour(made) == layout.QUIET
    assert "tm:ack:417" in buttons(made)


# Pings


def test_a_ping_is_one_line_with_a_button():
    made = render_ping(
        an_incident(severity=Severity.CRITICAL),
        reason="got worse, it was WARNING",
        look=CALLING,
        key="417/critical/2",
        reply_to=55,
    )
    assert texts(made) == (
        "<@&80000000000000008> CRITICAL · #417 **KubePodCrashLooping** got worse, it was WARNING"
    )
    assert buttons(made) == {"tm:ack:417/critical/2": "Acknowledge"}
    assert made.marker == "tm:ack:417/critical/2"
    assert (made.ping_roles, made.ping_users, made.reply_to) == ((80000000000000008,), (9,), 55)


# Private answers


def test_details_say_what_is_shared_once_and_what_differs_for_each():
    shown = texts(render_details(an_incident(*pods(2))))
    assert shown.count("`namespace` prod") == 1
    assert shown.count("`pod` checkout") == 2
    assert f"**2.** **FIRING** since {stamp(at(1), 'f')}" in shown


def test_details_of_one_alert_are_plain():
    shown = texts(render_details(an_incident(an_alert(annotations={"summary": "x"}, until=at(5)))))
    assert shown.splitlines()[2:] == [
        f"**RESOLVED** since {stamp(at(0), 'f')} until {stamp(at(5), 'f')}",
        "`alertname` KubePodCrashLooping",
        "`severity` warning",
        "`summary` x",
    ]


def test_details_are_turned_page_by_page_and_hold_everything():
    alerts = [an_alert(pod=f"pod-{number:03}", annotations={"d": f"{number} " * 70}) for number in range(60)]
    incident = an_incident(*alerts)
    first = render_details(incident)
    timeline = {"tm:timeline-page:417.": "Timeline"}
    assert buttons(first) == {"tm:details:417.1": "Next", **timeline}
    second = render_details(incident, 1)
    assert buttons(second) == {"tm:details:417.0": "Previous", "tm:details:417.2": "Next", **timeline}
    found = re.search(r"page 1 of (\d+)", texts(first))
    assert found is not None
    count = int(found[1])
    everything = "\n".join(texts(render_details(incident, page)) for page in range(count))
    assert all(f"`pod` pod-{number:03}" in everything for number in range(60))
    assert texts(render_details(incident, 10_000)) == texts(render_details(incident, count - 1))
    assert texts(render_details(incident, -1)) == texts(first)


def test_a_long_value_goes_on_over_several_lines():
    value = "".join(f"{number:04} " for number in range(700))
    incident = an_incident(an_alert(annotations={"description": value}))
    everything = texts(render_details(incident)) + texts(render_details(incident, 1))
    assert "0000" in everything
    assert "0699" in everything


def test_a_list_is_grouped_by_state_and_fits_a_phone():
    incidents = [
        an_incident(*pods(3, severity="critical"), number=417),
        an_incident(
            an_alert("NodeDiskFillingUp", node="node-2"),
            number=415,
            acknowledgement=Acknowledgement(ALICE, "alice", at(1)),
        ),
        an_incident(an_alert("TargetDown", until=at(5)), number=409),
    ]
    made = render_list(incidents, total=11, page=0, per_page=8, heading="Incidents", key="open")
    assert texts(made).splitlines() == [
        "### Incidents",
        "-# 11 incidents · page 1 of 2",
        "**CRITICAL**",
        f"`#417` **KubePodCrashLooping** checkout · 3 · {stamp(at(0), 't')}",
        "**WARNING**",
        f"`#415` **NodeDiskFillingUp** node-2 · 1 · {stamp(at(0), 't')} · <@{ALICE}>",
        "**RESOLVED**",
        f"`#409` **TargetDown** · 1 · {stamp(at(5), 't')}",
    ]
    assert buttons(made) == {"tm:list:open/1": "Next"}


def test_an_empty_list_says_so():
    made = render_list([], total=0, page=0, per_page=8, heading="Incidents", key="open")
    assert "Nothing matches." in texts(made)
    assert buttons(made) == {}


def test_who_acknowledges_is_told_which():
    one, two = an_incident(), an_incident(an_alert("TargetDown"), number=418)
    assert texts(render_acknowledged([one])).startswith("You look at #417 **KubePodCrashLooping**.")
    assert "#417 **KubePodCrashLooping** and #418 **TargetDown**." in texts(render_acknowledged([one, two]))
    assert "and 40 more." in texts(render_acknowledged([one] * 50))
    assert texts(render_acknowledged([])) == "There was nothing to acknowledge."


def test_routes_are_explained_one_a_line():
    routes = [
        Route(index=0, matchers=parse_matchers('alertname="Watchdog", team="a"')),
        Route(index=1, matchers=parse_matchers('severity="critical"'), channel="critical", goes_on=True),
        Route(index=2, channel="alerts"),
        Route(index=3, channel="never"),
    ]
    made = texts(render_explained(explain_routes(routes, an_alert(severity="critical").labels)))
    assert made.splitlines() == [
        "### Which route it takes",
        "-# It goes to **critical** and **alerts**.",
        (
            '1. `alertname="Watchdog", team="a"` does not: '
            "`alertname` is `KubePodCrashLooping`, there is no `team`"
        ),
        '2. `severity="critical"` **takes it** to **critical**, and later routes are asked too',
        "3. `everything` **takes it** to **alerts**",
        "4. `everything` is not asked: an earlier route took it",
    ]


# Laws: whatever the senders wrote

HOSTILE = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "@everyone", "@here", "<@123456789012345678>", "<@&123456789012345678>", "<#1>", "<t:1:R>",
                "[x](https://evil.example.org)", "https://e.example.org", "```", "`", "**", "||", "\\", "\n",
                "# ", "> ", "-# ", "\u202e", "\u200b", "\x00", "\ud800", "🔥", "é", "<", "@", "{", "}", "x" * 50,
            ]
        ),
        max_size=40,
    ).map("".join),
    st.sampled_from(["*" * 9000, "🔥" * 5000, "x" * 5000, "a\n" * 900, "\u200b" * 50]),
)  # fmt: skip
LABELS = st.dictionaries(
    st.one_of(st.sampled_from(["namespace", "pod", "instance", "alertname", "severity"]), HOSTILE),
    HOSTILE,
    max_size=5,
)
ANNOTATIONS = st.dictionaries(
    st.one_of(
        st.sampled_from(["summary", "description", "runbook_url", "dashboard_url", "message"]), HOSTILE
    ),
    st.one_of(HOSTILE, HOSTILE.map(lambda text: f"https://e.example.org/{text}")),
    max_size=5,
)
EARLIEST, LATEST = (datetime(year, 1, 2) for year in (1970, 9000))  # noqa: DTZ001  # As st.datetimes wants.
MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=EARLIEST, max_value=LATEST)


@st.composite
def hostile_incidents(draw: st.DrawFn) -> Incident:
    alerts = [
        replace(
            an_alert(fingerprint=str(number), since=draw(MOMENTS), until=draw(st.none() | MOMENTS)),
            labels=draw(LABELS),
            annotations=draw(ANNOTATIONS),
            generator_url=draw(HOSTILE),
        )
        for number in range(draw(st.integers(1, 8)))
    ]
    held = st.builds(
        Acknowledgement,
        by_id=st.sampled_from([ALICE, "the-machine"]),
        by_name=HOSTILE,
        at=MOMENTS,
        note=HOSTILE,
    )
    closing = st.builds(Closing, by_id=st.sampled_from([ALICE, "x"]), by_name=HOSTILE, note=HOSTILE)
    return an_incident(
        *alerts,
        state=draw(st.none() | st.just(State.UNKNOWN)),
        unknown_since=draw(st.none() | MOMENTS),
        closed_at=draw(st.none() | MOMENTS),
        reopened=draw(st.integers(0, 3)),
        reopened_at=draw(st.none() | MOMENTS),
        truncated=draw(st.sampled_from([0, 7, 2**31 - 1])),
        acknowledgement=draw(st.none() | held),
        closing=draw(st.none() | closing),
        notes=draw(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["Paged", "x" * 900]))),
        group_labels=draw(LABELS),
        external_url=draw(st.one_of(HOSTILE, st.just("https://a.example.org"))),
    )


LOOKS = st.sampled_from(
    [
        LOOK,
        CALLING,
        replace(LOOK, changes=CHANGES),
        replace(CALLING, changes=tuple("🔥" * 250 for _ in range(5))),
        Look(now=at(60), mentions=tuple(f"<@&{80000000000000000 + n}>" for n in range(60))),
    ]
)
_INACTIVE = re.compile(r"\\.|`[^`]*`", re.DOTALL)
_MENTION = re.compile(r"<(?:@[!&]?|#)\d+>|@everyone|@here", re.IGNORECASE)


def assert_sound(view: discord.ui.LayoutView, *, mentions: Sequence[str] = ()) -> None:
    assert layout.problems(view) == []
    active = set(_MENTION.findall(_INACTIVE.sub("", texts(view))))
    assert active <= {*mentions, f"<@{ALICE}>"}


slowly = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


@slowly
@given(hostile_incidents(), LOOKS)
def test_no_text_breaks_a_card(incident, look):
    made = render_incident(incident, look=look)
    assert_sound(made.view, mentions=look.mentions)
    assert made.marker in {getattr(item, "custom_id", None) for item in made.view.walk_children()}
    assert f"### {state_word(incident)} · " in texts(made)
    assert all(len(file.content) <= 8_000_000 for file in made.files)
    if made.ping_roles:
        assert all(f"<@&{role}>" in texts(made) for role in made.ping_roles)


@slowly
@given(hostile_incidents(), HOSTILE, LOOKS)
def test_no_text_breaks_a_ping(incident, reason, look):
    made = render_ping(incident, reason=reason, look=look, key="417/critical/2")
    assert_sound(made.view, mentions=look.mentions)


@slowly
@given(hostile_incidents(), st.integers(-1, 60))
def test_no_text_breaks_details(incident, page):
    assert_sound(render_details(incident, page))


@slowly
@given(st.lists(hostile_incidents(), max_size=3), HOSTILE, st.integers(0, 3))
def test_no_text_breaks_a_list(incidents, heading, page):
    made = render_list(incidents * 8, total=99, page=page, per_page=8, heading=heading, key="all")
    assert_sound(made)
    assert_sound(render_acknowledged(incidents * 20))


@slowly
@given(LABELS, st.lists(st.tuples(HOSTILE, HOSTILE), max_size=30))
def test_no_text_breaks_an_explanation(labels, matchers):
    routes = [
        Route(
            index=number,
            matchers=parse_matchers('a="b"')
            if not name
            else (replace(parse_matchers('a="b"')[0], name=name, value=value),),
            channel=value or None,
            goes_on=True,
        )
        for number, (name, value) in enumerate(matchers)
    ]
    assert_sound(render_explained(explain_routes(routes, labels)))


@pytest.mark.bench
def test_the_card_of_five_hundred_alerts_takes_little_time():
    alerts = [an_alert(pod=f"p-{n}", since=at(-n), annotations={"d": "x" * 300}) for n in range(500)]
    incident = an_incident(*alerts)
    best = min(_seconds(incident) for _ in range(10))
    print(f"card of 500 alerts with its list: {best * 1000:.1f} ms")
    assert best <= 0.02


def _seconds(incident: Incident) -> float:
    started = time.perf_counter()
    assert card(incident).files
    return time.perf_counter() - started
