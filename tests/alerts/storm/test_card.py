"""Whatever the senders wrote, a digest fits, names all of its incidents and lists all of their alerts."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.model.incident import Acknowledgement, IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.storm.card import render_call, render_listed, render_page
from bot.alerts.storm.model import PAGE_LINES, Line, Page, Storm, Totals
from bot.chat.layout import problems
from tests.support.alerts import NOON, an_alert, an_incident, at

TOTALS = Totals(incidents=213, critical=4, alerts=1904, held=209, pages=6, busiest_minute=87, resolved=33)
HOSTILE = "@everyone [x](https://evil.example) *_~|`<@&1>\n# " * 4


def incidents(count, *, name="KubePodNotReady", first=500, **more):
    return [
        replace(
            an_incident(an_alert(name, namespace="prod", deployment="api", pod="a")),
            number=IncidentNumber(first + n),
            **more,
        )
        for n in range(count)
    ]


def a_page(shown, *, number=1, released=(), **storm):
    lines = tuple(Line(one.number, number, NOON, NOON if one.number in released else None) for one in shown)
    return Page(
        storm=Storm(id=3, channel_id=1, since=NOON, **storm),
        number=number,
        lines=lines,
        incidents={one.number: one for one in shown},
        totals=TOTALS,
    )


def text_of(rendered_or_view):
    view = getattr(rendered_or_view, "view", rendered_or_view)
    return "\n".join(item.content for item in view.walk_children() if hasattr(item, "content"))


def visible(line):
    """What a person sees of a line's markup."""
    shown = re.sub(r"<t:\d+:t>", "07:40", line)
    return re.sub(r"\\(.)", r"\1", shown.replace("**", "").replace("`", ""))


def test_a_line_is_as_the_phone_has_room_for():
    text = text_of(render_page(a_page(incidents(1, first=520)), now=NOON))
    line = text.splitlines()[-1]
    assert visible(line) == "#520 KubePodNotReady prod / api · 1 · 07:40"


@pytest.mark.parametrize("name", ["Short", "KubeDeploymentReplicasMismatchInTheWholeCluster", "A_b" * 30])
@pytest.mark.parametrize("severity", list(Severity))
def test_no_line_wraps(name, severity):
    page = a_page(incidents(PAGE_LINES, name=name, first=12_345, severity=severity))
    lines = [line for line in text_of(render_page(page, now=NOON)).splitlines() if line.startswith("`#")]
    assert len(lines) == PAGE_LINES
    assert max(len(visible(line)) for line in lines) <= 49


def test_it_says_when_an_incident_is_over_and_how_bad_one_is():
    over, info = incidents(2)
    over = replace(over, closed_at=at(12))
    info = replace(info, severity=Severity.INFO)
    text = text_of(render_page(a_page([over, info]), now=NOON))
    assert " · resolved · <t:" in text
    assert " · info · <t:" in text


@given(
    names=st.lists(st.text(min_size=1, max_size=120) | st.just(HOSTILE), min_size=1, max_size=PAGE_LINES),
    by=st.sampled_from(["9" * 20, "name", None]),
    ended=st.booleans(),
    settled=st.booleans(),
    released=st.booleans(),
)
def test_whatever_is_on_it_discord_takes_it_and_nobody_is_left_out(names, by, ended, settled, released):
    held = Acknowledgement(by, "x", NOON) if by else None
    shown = [
        replace(
            an_incident(an_alert(name, namespace=name, deployment=name)),
            number=IncidentNumber(99_000 + n),
            acknowledgement=held,
        )
        for n, name in enumerate(names)
    ]
    page = a_page(
        shown,
        released={one.number for one in shown} if released else (),
        ended_at=at(14) if ended or settled else None,
        settled_at=at(30) if settled else None,
        ended_by="9" * 20 if ended else None,
    )
    rendered = render_page(page, now=at(31))
    assert problems(rendered.view) == []
    text = text_of(rendered)
    assert "@everyone" not in text
    assert rendered.marker in {
        getattr(getattr(i, "item", i), "custom_id", None) for i in rendered.view.walk_children()
    }
    [listed] = rendered.files
    for one in shown:
        assert (f"`#{one.number}`" in text) is not released
        assert f"#{one.number} " in listed.content.decode()


def test_the_list_has_every_alert_with_its_labels():
    alerts = [an_alert("Disk", pod=f"api-{n}") for n in range(300)]
    rendered = render_page(a_page([an_incident(*alerts)]), now=NOON)
    listed = rendered.files[0].content.decode()
    assert all(f'pod="api-{n}"' in listed for n in range(300))


def test_every_line_can_be_chosen_from():
    rendered = render_page(a_page(incidents(PAGE_LINES)), now=NOON)
    options = [
        option.value
        for item in rendered.view.walk_children()
        for option in getattr(getattr(item, "item", item), "options", ())
    ]
    assert sorted(options) == [str(500 + n) for n in range(PAGE_LINES)]


def test_when_it_is_over_it_sums_up():
    shown = incidents(3)
    page = a_page(shown, released={one.number for one in shown}, ended_at=at(14), settled_at=at(20))
    text = text_of(render_page(page, now=at(21)))
    assert text.startswith("### STORM OVER · 213 incidents in 14 min")
    assert "at most 87 a minute" in text
    assert "33 are over" in text


def test_a_call_says_what_it_stands_for():
    rendered = render_call(TOTALS, mentions=["<@&8>"], ping_roles=[8], ping_users=[], key="3/1")
    assert "<@&8>: **STORM** · 213 incidents, 4 critical" in text_of(rendered)
    assert rendered.ping_roles == (8,)
    assert problems(rendered.view) == []


@pytest.mark.parametrize("count", [0, 1, 100])
def test_the_private_list_fits(count):
    assert problems(render_listed(incidents(count, name=HOSTILE), heading="On this page")) == []
