from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.routing import Route, explain_routes, mention_ids, route_for
from bot.alerts.settings import AlertsSettings, compile_routes
from bot.core.matchers import Matcher, MatchOp, parse_matchers


def a_route(
    match: str = "", *, index: int = 0, channel: str | None = "alerts", goes_on: bool = False
) -> Route:
    return Route(index=index, matchers=parse_matchers(match), channel=channel, goes_on=goes_on)


WATCHDOG = a_route("alertname=Watchdog", index=0, channel=None)
COPY = a_route("team=shop", index=1, channel="shop", goes_on=True)
CRITICAL = a_route('severity="critical",team=~".+"', index=2, channel="critical")
REST = a_route(index=3)
ROUTES = (WATCHDOG, COPY, CRITICAL, REST)


@pytest.mark.parametrize(
    ("firing", "expected"),
    [
        ([{"alertname": "Watchdog"}], (WATCHDOG,)),
        ([{"alertname": "Down"}], (REST,)),
        ([{"severity": "critical", "team": "db"}], (CRITICAL,)),
        ([{"severity": "critical", "team": "shop"}], (COPY, CRITICAL)),
        ([{"team": "shop"}], (COPY, REST)),
        ([{"team": "db"}, {"severity": "critical"}], (REST,)),
        ([{"team": "db"}, {"severity": "critical", "team": "db"}], (CRITICAL,)),
        ([], ()),
    ],
)
def test_the_first_route_that_one_firing_alert_meets_wins(
    firing: list[dict[str, str]], expected: tuple[Route, ...]
) -> None:
    assert route_for(ROUTES, firing) == expected


def test_source_and_receiver_are_labels_like_others() -> None:
    route = a_route("__source__=main,__receiver__=discord")
    assert route_for((route,), [{"__source__": "main", "__receiver__": "discord"}]) == (route,)
    assert route_for((route,), [{"__source__": "other", "__receiver__": "discord"}]) == ()


def test_an_explanation_names_the_condition_that_failed_and_what_it_met() -> None:
    verdicts = explain_routes(ROUTES, {"alertname": "Down", "severity": "warning", "team": "db"})
    assert [(verdict.matched, [str(failed) for failed in verdict.failed]) for verdict in verdicts] == [
        (False, ['alertname="Watchdog" does not match "Down"']),
        (False, ['team="shop" does not match "db"']),
        (False, ['severity="critical" does not match "warning"']),
        (True, []),
    ]


def test_an_explanation_says_which_routes_were_not_asked() -> None:
    verdicts = explain_routes(ROUTES, {"alertname": "Watchdog"})
    assert [(verdict.matched, verdict.reached) for verdict in verdicts] == [
        (True, True),
        (False, False),
        (False, False),
        (False, False),
    ]


_NAMES = st.sampled_from(["a", "b", "__source__"])
_VALUES = st.sampled_from(["", "x", "y"])
_MATCHERS = st.builds(Matcher, _NAMES, st.sampled_from(list(MatchOp)), _VALUES)
_ROUTES = st.lists(
    st.builds(
        Route,
        index=st.integers(0, 9),
        matchers=st.lists(_MATCHERS, max_size=2).map(tuple),
        goes_on=st.booleans(),
    ),
    max_size=5,
)
_LABELS = st.dictionaries(_NAMES, _VALUES)


@given(_ROUTES, _LABELS)
def test_what_is_explained_is_what_is_done(routes: list[Route], labels: dict[str, str]) -> None:
    explained = tuple(verdict.route for verdict in explain_routes(routes, labels) if verdict.matched)
    assert explained == route_for(routes, [labels])


@given(_ROUTES, st.lists(_LABELS, min_size=1, max_size=3))
def test_with_a_route_that_catches_all_nothing_goes_nowhere(
    routes: list[Route], firing: list[dict[str, str]]
) -> None:
    assert route_for([*routes, REST], firing)


@given(_ROUTES, st.lists(_LABELS, max_size=3))
def test_the_order_of_alerts_does_not_matter(routes: list[Route], firing: list[dict[str, str]]) -> None:
    assert route_for(routes, firing) == route_for(routes, firing[::-1])


def test_the_settings_compile_to_a_routing_table() -> None:
    settings = AlertsSettings.model_validate(
        {
            "routes": [
                {"match": ['alertname=~"Watchdog|InfoInhibitor"'], "channel": "none"},
                {
                    "match": ['{severity="critical", team="a"}', "job!=x"],
                    "channel": "critical",
                    "mention": ["oncall", "role:ops", "user:42"],
                    "remind": "15m",
                    "continue": True,
                },
                {"channel": "alerts"},
            ]
        }
    )
    first, second, last = compile_routes(settings)
    assert first.channel is None
    assert [str(matcher) for matcher in second.matchers] == ['severity="critical"', 'team="a"', 'job!="x"']
    assert second.mention == ("role:oncall", "role:ops", "user:42")
    assert second.remind == timedelta(minutes=15)
    assert second.goes_on
    assert (last.index, last.matchers, last.channel, last.goes_on) == (2, (), "alerts", False)


def test_mentions_become_ids_once_each_and_a_role_that_is_gone_is_left_out() -> None:
    found = mention_ids(["role:oncall", "role:7", "user:42", "role:gone"], {"oncall": "7"})
    assert (found.roles, found.users) == ((7,), (42,))
