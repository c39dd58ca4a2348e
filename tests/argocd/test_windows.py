from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.argocd.model import Application
from bot.argocd.projects import (
    AppProject,
    GlobalProject,
    Requirement,
    SyncWindow,
    WindowKind,
    read_global_projects,
    read_project,
)
from bot.argocd.reading import read_application
from bot.argocd.windows import (
    WindowReason,
    changes_at,
    decide_window,
    describe_window,
    is_open,
    matches_glob,
    matching_windows,
    merged_windows,
    opens_at,
    problem_of,
)
from bot.kube.model import ObjectKey
from tests.support.argocd import a_raw_application

ALLOW, DENY = WindowKind.ALLOW, WindowKind.DENY


def a_window(kind: WindowKind | None = DENY, schedule: str = "0 22 * * *", duration: str = "8h", **more: Any):
    return SyncWindow(kind=kind, schedule=schedule, duration=duration, **({"applications": ("*",)} | more))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def an_application(name: str = "shop", **destination: str) -> Application:
    spec = {"destination": {"server": "https://10.0.0.1:6443", "namespace": "shop", **destination}}
    return read_application(a_raw_application(name, spec=spec))


OPEN = {"schedule": "0 0 * * *", "duration": "24h"}
CLOSED = {"schedule": "0 3 * * *", "duration": "1h"}
NOW = utc("2026-03-11T12:00:00")


# Which windows hold.


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("*", "anything/at.all", True),
        ("shop-*", "shop-api", True),
        ("shop-*", "shop", False),
        ("https://*", "https://10.0.0.1:6443", True),
        ("**", "a/b", True),
        ("sho?", "shop", True),
        ("[st]hop", "shop", True),
        ("[!s]hop", "shop", False),
        ("{shop,mail}-api", "mail-api", True),
        ("{shop,mail}-api", "chat-api", False),
        ("{a,b{c,d}}", "bd", True),
        ("Shop", "shop", False),
        ("sh{op", "shop", False),
        ("", "", True),
        ("", "shop", False),
    ],
)
def test_globs_are_those_of_argo_cd(glob: str, text: str, fits: bool):
    assert matches_glob(glob, text) is fits


def test_a_glob_of_many_choices_ends():
    assert not matches_glob("{a,b}" * 60, "x")
    assert not matches_glob("*a" * 60 + "b", "a" * 250)


@pytest.mark.parametrize(
    ("selectors", "holds"),
    [
        ({"applications": ("shop",)}, True),
        ({"applications": ("mail",)}, False),
        ({"namespaces": ("shop*",)}, True),
        ({"clusters": ("https://10.*",)}, True),
        ({"clusters": ("prod",)}, True),
        ({"clusters": ("dev",)}, False),
        ({"applications": ("mail",), "namespaces": ("shop",)}, True),
        ({"applications": ("mail",), "namespaces": ("shop",), "and_operator": True}, False),
        ({"applications": ("shop",), "clusters": ("prod",), "and_operator": True}, True),
        ({"applications": ("shop",), "and_operator": True}, True),
        ({}, False),
        ({"and_operator": True}, False),
    ],
)
def test_a_window_holds_where_its_selectors_say(selectors: dict[str, Any], holds: bool):
    window = SyncWindow(kind=DENY, schedule="* * * * *", duration="1h", **selectors)
    assert bool(matching_windows([window], an_application(name="shop") if not holds else named())) is holds


def named() -> Application:
    return replace(an_application(), destination=an_application().destination._replace(name="prod"))


def a_project(name: str, *windows: SyncWindow, **labels: str) -> AppProject:
    return AppProject(key=ObjectKey("argocd", name), windows=windows, labels=labels)


def test_global_projects_lend_their_windows_to_those_that_they_select():
    night, freeze = a_window(description="night"), a_window(description="freeze")
    shop = a_project("shop", night, tier="prod")
    projects = {"shop": shop, "guard": a_project("guard", freeze), "dev": a_project("dev", tier="dev")}
    rules = [GlobalProject(project="guard", requirements=(Requirement("tier", "In", ("prod",)),))]
    assert merged_windows(shop, projects, rules) == (night, freeze)
    assert merged_windows(projects["dev"], projects, rules) == ()
    assert merged_windows(projects["guard"], projects, rules) == (freeze,)


@pytest.mark.parametrize(
    ("requirement", "selected"),
    [
        (Requirement("tier", "In", ("prod", "stage")), True),
        (Requirement("tier", "In", ("dev",)), False),
        (Requirement("absent", "In", ("x",)), False),
        (Requirement("tier", "NotIn", ("prod",)), False),
        (Requirement("absent", "NotIn", ("x",)), True),
        (Requirement("tier", "Exists"), True),
        (Requirement("absent", "Exists"), False),
        (Requirement("tier", "DoesNotExist"), False),
        (Requirement("absent", "DoesNotExist"), True),
        (Requirement("tier", "Exists", ("x",)), False),
        (Requirement("tier", "In"), False),
        (Requirement("tier", "Like", ("x",)), False),
    ],
)
def test_selectors_are_those_of_kubernetes(requirement: Requirement, selected: bool):
    shop, freeze = a_project("shop", tier="prod"), a_window()
    rules = [GlobalProject(project="guard", requirements=(requirement,))]
    projects = {"shop": shop, "guard": a_project("guard", freeze)}
    assert merged_windows(shop, projects, rules) == ((freeze,) if selected else ())


def test_a_global_project_that_is_not_there_ends_the_list():
    shop, freeze = a_project("shop"), a_window()
    rules = [GlobalProject(project="gone"), GlobalProject(project="guard")]
    assert merged_windows(shop, {"guard": a_project("guard", freeze)}, rules) == ()


def test_projects_and_global_projects_are_read():
    raw = {
        "metadata": {"name": "shop", "namespace": "argocd", "labels": {"tier": "prod"}},
        "spec": {
            "description": "d",
            "sourceNamespaces": ["team-*"],
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "shop"}, 7],
            "syncWindows": [
                {
                    "kind": "deny",
                    "schedule": "0 22 * * *",
                    "duration": "8h",
                    "applications": ["*"],
                    "manualSync": True,
                    "timeZone": "Europe/Oslo",
                    "andOperator": True,
                    "syncOverrun": True,
                    "description": "night",
                },
                {"kind": "perhaps"},
            ],
        },
    }
    project = read_project(raw)
    assert project.key == ObjectKey("argocd", "shop")
    assert project.windows[0] == SyncWindow(
        kind=DENY,
        schedule="0 22 * * *",
        duration="8h",
        applications=("*",),
        manual_sync=True,
        time_zone="Europe/Oslo",
        and_operator=True,
        overrun=True,
        description="night",
    )
    assert project.windows[1].kind is None
    assert [each.namespace for each in project.destinations] == ["shop"]
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}
    assert read_global_projects([{"projectName": "guard", "labelSelector": selector}, None]) == (
        GlobalProject(
            project="guard", requirements=(Requirement("a", "In", ("b",)), Requirement("c", "Exists"))
        ),
    )
    assert read_global_projects({"not": "a list"}) == ()


# Whether one is open.


@pytest.mark.parametrize(
    ("at", "is_on"),
    [
        ("2026-03-11T21:59:59", False),
        ("2026-03-11T22:00:00", False),
        ("2026-03-11T22:00:00.000001", True),
        ("2026-03-12T05:59:59", True),
        ("2026-03-12T06:00:00", False),
    ],
)
def test_a_window_is_open_from_its_firing_for_as_long_as_it_lasts(at: str, is_on: bool):
    assert is_open(a_window(), utc(at)) is is_on


@pytest.mark.parametrize(
    ("zone", "at", "is_on"),
    [
        ("Europe/Oslo", "2026-01-15T21:30:00", True),
        ("Europe/Oslo", "2026-01-15T20:30:00", False),
        ("Europe/Oslo", "2026-07-15T20:30:00", True),
        ("America/New_York", "2026-01-15T22:30:00", False),
        ("America/New_York", "2026-01-16T03:30:00", True),
        ("Nowhere/Land", "2026-01-15T22:30:00", True),
        ("../etc/passwd", "2026-01-15T22:30:00", True),
        ("America", "2026-01-15T22:30:00", True),
        ("", "2026-01-15T22:30:00", True),
    ],
)
def test_the_schedule_is_of_its_time_zone_and_utc_for_one_that_is_none(zone: str, at: str, is_on: bool):
    assert is_open(a_window(time_zone=zone), utc(at)) is is_on


def test_a_schedule_that_never_fires_is_always_open_as_in_argo_cd():
    assert is_open(a_window(schedule="0 0 30 2 *"), NOW)


def test_windows_that_overlap_themselves_stay_open():
    assert is_open(a_window(duration="48h"), utc("2026-03-11T22:00:00"))


@pytest.mark.parametrize("broken", [{"schedule": "@daily"}, {"duration": "1d"}, {"duration": ""}])
def test_what_cannot_be_read_has_its_problem(broken: dict[str, str]):
    assert "expected" in problem_of(a_window(**broken))
    assert problem_of(a_window()) == ""


# Whether a sync may run: the table.

BAD = a_window(duration="1d")
OPEN_DENY, CLOSED_DENY = a_window(DENY, **OPEN), a_window(DENY, **CLOSED)
OPEN_ALLOW, CLOSED_ALLOW = a_window(ALLOW, **OPEN), a_window(ALLOW, **CLOSED)
ODD = a_window(None, **OPEN)


def manual(window: SyncWindow) -> SyncWindow:
    return replace(window, manual_sync=True)


@pytest.mark.parametrize(
    ("windows", "by_hand", "by_itself"),
    [
        ([], WindowReason.NO_WINDOW, WindowReason.NO_WINDOW),
        ([CLOSED_DENY], WindowReason.NOT_DENIED, WindowReason.NOT_DENIED),
        ([OPEN_DENY], WindowReason.DENIED, WindowReason.DENIED),
        ([manual(OPEN_DENY)], WindowReason.MANUAL_THOUGH_DENIED, WindowReason.DENIED),
        ([manual(OPEN_DENY), OPEN_DENY], WindowReason.DENIED, WindowReason.DENIED),
        ([OPEN_DENY, OPEN_ALLOW], WindowReason.DENIED, WindowReason.DENIED),
        ([manual(OPEN_DENY), CLOSED_ALLOW], WindowReason.MANUAL_THOUGH_DENIED, WindowReason.DENIED),
        ([OPEN_ALLOW], WindowReason.ALLOWED, WindowReason.ALLOWED),
        ([OPEN_ALLOW, CLOSED_ALLOW], WindowReason.ALLOWED, WindowReason.ALLOWED),
        ([OPEN_ALLOW, CLOSED_DENY], WindowReason.ALLOWED, WindowReason.ALLOWED),
        ([CLOSED_ALLOW], WindowReason.OUTSIDE, WindowReason.OUTSIDE),
        ([manual(CLOSED_ALLOW)], WindowReason.MANUAL_OUTSIDE, WindowReason.OUTSIDE),
        ([manual(CLOSED_ALLOW), CLOSED_ALLOW], WindowReason.OUTSIDE, WindowReason.OUTSIDE),
        ([CLOSED_ALLOW, CLOSED_DENY], WindowReason.OUTSIDE, WindowReason.OUTSIDE),
        ([BAD], WindowReason.UNREADABLE, WindowReason.UNREADABLE),
        ([BAD, OPEN_ALLOW], WindowReason.UNREADABLE, WindowReason.UNREADABLE),
        ([manual(BAD)], WindowReason.UNREADABLE, WindowReason.UNREADABLE),
        ([ODD], WindowReason.NOT_DENIED, WindowReason.NOT_DENIED),
    ],
)
def test_the_first_rule_that_applies_decides(
    windows: list[SyncWindow], by_hand: WindowReason, by_itself: WindowReason
):
    assert decide_window(windows, manual=True, now=NOW).reason is by_hand
    assert decide_window(windows, manual=False, now=NOW).reason is by_itself


def test_a_decision_names_the_windows_that_it_is_due_to():
    decision = decide_window([CLOSED_DENY, OPEN_DENY, OPEN_ALLOW], manual=True, now=NOW)
    assert decision.windows == (OPEN_DENY,)
    assert not decision.permits


LATE = {"schedule": "0 11 * * *", "duration": "4h"}
EARLY = {"schedule": "0 8 * * *", "duration": "3h"}


@pytest.mark.parametrize(
    ("window", "started", "reason"),
    [
        (a_window(DENY, overrun=True, **LATE), "10:30", WindowReason.OVERRUN),
        (a_window(DENY, overrun=True, **LATE), "11:30", WindowReason.DENIED),
        (a_window(DENY, **LATE), "10:30", WindowReason.DENIED),
        (a_window(ALLOW, overrun=True, **EARLY), "10:30", WindowReason.OVERRUN),
        (a_window(ALLOW, overrun=True, **EARLY), "11:30", WindowReason.OUTSIDE),
        (a_window(ALLOW, **EARLY), "10:30", WindowReason.OUTSIDE),
    ],
)
def test_what_began_while_it_was_permitted_may_end_where_the_windows_say_so(
    window: SyncWindow, started: str, reason: WindowReason
):
    began = utc(f"2026-03-11T{started}:00")
    assert decide_window([window], manual=True, now=NOW, started_at=began).reason is reason


def test_one_window_without_overrun_is_enough_to_block():
    windows = [a_window(DENY, overrun=True, **LATE), a_window(DENY, **LATE)]
    began = utc("2026-03-11T10:30:00")
    assert decide_window(windows, manual=True, now=NOW, started_at=began).reason is WindowReason.DENIED


# When that changes.


@pytest.mark.parametrize(
    ("windows", "now", "expected"),
    [
        ([], "2026-03-11T12:00:00", "2026-03-11T12:00:00"),
        ([a_window()], "2026-03-11T23:00:00", "2026-03-12T06:00:00"),
        ([a_window(ALLOW, "0 8 * * mon-fri", "9h")], "2026-03-13T18:00:00", "2026-03-16T08:00:00"),
        (
            [a_window(ALLOW, "0 8 * * *", "1h"), a_window(DENY, "0 6 * * *", "3h")],
            "2026-03-11T12:00:00",
            None,
        ),
        (
            [a_window(ALLOW, "0 8 * * *", "2h"), a_window(DENY, "0 6 * * *", "3h")],
            "2026-03-11T12:00:00",
            "2026-03-12T09:00:00",
        ),
        ([a_window(), BAD], "2026-03-11T23:00:00", None),
        ([a_window(DENY, "* * * * *", "1h")], "2026-03-11T23:00:00", None),
        ([a_window(ALLOW, "0 0 1 1 *", "24h")], "2026-03-11T12:00:00", "2027-01-01T00:00:00"),
        # Oslo puts its clocks forward on 29 March 2026.
        (
            [a_window(ALLOW, "0 8 * * *", "1h", time_zone="Europe/Oslo")],
            "2026-03-28T12:00:00",
            "2026-03-29T06:00:00",
        ),
        (
            [a_window(ALLOW, "0 8 * * *", "1h", time_zone="Europe/Oslo")],
            "2026-03-27T12:00:00",
            "2026-03-28T07:00:00",
        ),
        # At 02:00 it is 03:00: a window from 02:30 is skipped into, and open at once.
        (
            [a_window(ALLOW, "30 2 * * *", "1h", time_zone="Europe/Oslo")],
            "2026-03-28T12:00:00",
            "2026-03-29T01:00:00",
        ),
    ],
)
def test_it_is_known_when_a_sync_may_run_next(windows: list[SyncWindow], now: str, expected: str | None):
    assert opens_at(windows, manual=True, now=utc(now)) == (utc(expected) if expected else None)


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        (a_window(), "2026-03-11T12:00:00", "2026-03-11T22:00:00"),
        (a_window(), "2026-03-11T22:00:00.000001", "2026-03-12T06:00:00"),
        (a_window(duration="24h"), "2026-03-11T12:00:00", None),
        (a_window(schedule="0 0 30 2 *"), "2026-03-11T12:00:00", None),
        (BAD, "2026-03-11T12:00:00", None),
    ],
)
def test_it_is_known_when_a_window_opens_or_closes_next(window: SyncWindow, now: str, expected: str | None):
    assert changes_at(window, now=utc(now)) == (utc(expected) if expected else None)


def test_a_window_is_described_in_a_line():
    assert describe_window(a_window(description="night")) == "night: deny 0 22 * * * for 8h (UTC)"


# Laws.

SCHEDULES = st.builds(
    lambda minute, hour, day, week: f"{minute} {hour} {day} * {week}",
    st.sampled_from(["0", "30", "*/20", "5-10"]),
    st.sampled_from(["*", "8", "*/6", "22,23"]),
    st.sampled_from(["*", "11", "*/2"]),
    st.sampled_from(["*", "mon", "1-5"]),
)
WINDOWS = st.builds(
    lambda kind, schedule, duration, by_hand, zone: a_window(
        kind, schedule, duration, manual_sync=by_hand, time_zone=zone
    ),
    st.sampled_from([ALLOW, DENY]),
    SCHEDULES,
    st.sampled_from(["10m", "1h", "8h", "30h", "0"]),
    st.booleans(),
    st.sampled_from(["", "Europe/Oslo", "America/New_York"]),
)
MOMENTS = st.integers(0, 275 * 86_400).map(
    lambda seconds: utc("2026-03-01T00:00:00") + timedelta(seconds=seconds)
)


def fires(schedule: str, at: datetime) -> bool:
    """Tell by robfig's rules, without any library, whether a schedule fires at a minute."""
    fields = schedule.split()
    tables = [range(60), range(24), range(1, 32), range(1, 13), range(7)]
    values = [at.minute, at.hour, at.day, at.month, (at.weekday() + 1) % 7]
    fits = []
    for field, table, value in zip(fields, tables, values, strict=True):
        numbers: set[int] = set()
        for term in field.replace("mon", "1").split(","):
            span, _, step = term.partition("/")
            low, _, high = span.partition("-")
            first = table[0] if low == "*" else int(low)
            last = table[-1] if low == "*" else int(high or low)
            numbers.update(range(first, last + 1, int(step or 1)))
        fits.append(value in numbers)
    stars = fields[2] == "*" or fields[4] == "*"
    day = (fits[2] and fits[4]) if stars else (fits[2] or fits[4])
    return fits[0] and fits[1] and fits[3] and day


@settings(max_examples=150, deadline=None)
@given(window=WINDOWS, at=MOMENTS)
def test_a_window_is_open_when_one_of_its_firings_lasts(window: SyncWindow, at: datetime):
    offset = at.astimezone(ZoneInfo(window.time_zone or "UTC")).utcoffset()
    assert offset is not None
    local = at.replace(tzinfo=None) + offset
    lasts = {"10m": 10, "1h": 60, "8h": 480, "30h": 1800, "0": 0}[window.duration]
    minute = local.replace(second=0, microsecond=0)
    expected = any(
        fires(window.schedule, firing) and firing < local < firing + timedelta(minutes=lasts)
        for firing in (minute - timedelta(minutes=back) for back in range(lasts + 1))
    )
    assert is_open(window, at) is expected


@settings(max_examples=60, deadline=None)
@given(windows=st.lists(WINDOWS, max_size=3), now=MOMENTS, by_hand=st.booleans())
def test_what_opens_next_is_open_then_and_not_before(windows: list[SyncWindow], now: datetime, by_hand: bool):
    found = opens_at(windows, manual=by_hand, now=now)
    assume(found is not None)
    assert found is not None
    if decide_window(windows, manual=by_hand, now=now).permits:
        assert found == now
        return
    after = found + timedelta(milliseconds=1)
    assert decide_window(windows, manual=by_hand, now=after).permits
    step = max((found - now) / 60, timedelta(minutes=7))
    at = now
    while at < found:
        assert not decide_window(windows, manual=by_hand, now=at).permits
        at += step


@settings(max_examples=60, deadline=None)
@given(windows=st.lists(WINDOWS, max_size=4), now=MOMENTS)
def test_a_person_may_sync_whenever_argo_cd_itself_may(windows: list[SyncWindow], now: datetime):
    if decide_window(windows, manual=False, now=now).permits:
        assert decide_window(windows, manual=True, now=now).permits


@settings(max_examples=60, deadline=None)
@given(windows=st.lists(WINDOWS, max_size=4), now=MOMENTS, by_hand=st.booleans())
def test_the_order_of_windows_does_not_matter(windows: list[SyncWindow], now: datetime, by_hand: bool):
    there = decide_window(windows, manual=by_hand, now=now).reason
    assert decide_window(windows[::-1], manual=by_hand, now=now).reason is there


@settings(max_examples=40, deadline=None)
@given(windows=st.lists(WINDOWS, max_size=3), now=MOMENTS, by_hand=st.booleans())
def test_one_more_open_deny_never_permits_more(windows: list[SyncWindow], now: datetime, by_hand: bool):
    deny = a_window(DENY, "* * * * *", "1h")
    assert not decide_window([*windows, deny], manual=by_hand, now=now).permits
