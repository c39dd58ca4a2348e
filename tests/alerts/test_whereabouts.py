"""Where incidents are."""

import pytest

from bot.alerts.whereabouts import NOWHERE, NoTargets, Whereabouts, whereabouts
from tests.support.alerting import Apps
from tests.support.alerts import an_alert, an_incident, at


@pytest.mark.parametrize(
    ("alerts", "namespaces"),
    [
        ([{}], ()),
        ([{"namespace": "shop"}], ("shop",)),
        ([{"namespace": ""}], ()),
        ([{"namespace": "monitoring", "exported_namespace": "shop"}], ("monitoring", "shop")),
        ([{"namespace": "a", "pod": "1"}, {"namespace": "b"}, {"namespace": "b", "pod": "1"}], ("b", "a")),
    ],
)
def test_the_namespaces_of_its_alerts_are_where_an_incident_is(alerts, namespaces):
    incident = an_incident(*(an_alert(**labels) for labels in alerts))
    assert sorted(whereabouts(incident, NoTargets()).namespaces) == sorted(namespaces)
    assert whereabouts(incident, NoTargets()).namespaces[:1] == namespaces[:1]


def test_no_more_than_a_few_places_are_asked_about():
    incident = an_incident(*(an_alert(namespace=f"n{number}") for number in range(9)))
    assert len(whereabouts(incident, NoTargets()).namespaces) == 5


def test_what_resolved_counts_only_where_nothing_fires():
    fires, over = an_alert(namespace="shop"), an_alert(namespace="blog", until=at(5))
    assert whereabouts(an_incident(fires, over), NoTargets()).namespaces == ("shop",)
    assert whereabouts(an_incident(over), NoTargets()).namespaces == ("blog",)


def test_the_application_of_an_alert_is_asked_for():
    targets = Apps()
    targets.known["api"] = "argocd/shop"
    incident = an_incident(an_alert(app="api"), an_alert(app="web"))
    assert whereabouts(incident, targets).apps == ("argocd/shop",)


@pytest.mark.parametrize(
    ("namespace", "app", "holds"),
    [
        ("shop", None, True),
        (None, "argocd/shop", True),
        ("blog", "argocd/shop", True),
        ("blog", "argocd/blog", False),
        (None, None, False),
    ],
)
def test_a_change_is_near_by_its_namespace_or_its_application(namespace, app, holds):
    assert Whereabouts(("shop",), ("argocd/shop",)).holds(namespace, app) is holds
    assert not NOWHERE.holds(namespace, app)
