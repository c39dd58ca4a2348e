from typing import Any

import pytest

from bot.argocd.model import HealthStatus
from bot.argocd.sets import ApplicationSet, read_application_set
from bot.kube.model import ObjectKey
from tests.support.argocd import NOON, at

RAW: dict[str, Any] = {
    "metadata": {"name": "services", "namespace": "argocd"},
    "spec": {
        "generators": [{"git": {"directories": []}, "selector": {}}, {"list": {}}, {"git": {}}],
        "strategy": {"type": "RollingSync", "rollingSync": {"steps": [{}, {}]}},
        "syncPolicy": {"applicationsSync": "create-update"},
        "template": {"spec": {"project": "default"}},
    },
    "status": {
        "conditions": [
            {
                "type": "ErrorOccurred",
                "status": "True",
                "reason": "r",
                "message": "m",
                "lastTransitionTime": at(),
            },
            {"type": "ParametersGenerated", "status": "True", "reason": "r", "message": "m"},
            {"type": "ResourcesUpToDate", "status": "False", "reason": "r", "message": "behind"},
        ],
        "applicationStatus": [
            {
                "application": "api",
                "status": "Waiting",
                "step": "1",
                "message": "m",
                "targetRevisions": ["a"],
                "lastTransitionTime": at(),
            }
        ],
        "resourcesCount": 7,
        "health": {"status": "Progressing"},
    },
}


def test_an_application_set_is_read():
    found = read_application_set(RAW)
    assert found.key == ObjectKey("argocd", "services")
    assert found.generators == ("git", "list")
    assert (found.project, found.policy, found.rolling_steps, found.applications) == (
        "default",
        "create-update",
        2,
        7,
    )
    assert found.health is HealthStatus.PROGRESSING
    (state,) = found.rollout
    assert (state.application, state.status, state.step, state.since) == ("api", "Waiting", "1", NOON)


def test_what_is_wrong_with_it_is_told_from_what_is_well():
    assert [error.message for error in read_application_set(RAW).errors] == ["m", "behind"]


def test_little_is_known_of_an_empty_one():
    assert read_application_set({}) == ApplicationSet(key=ObjectKey("", ""))


def test_a_refresh_shows_until_it_is_done():
    metadata = {"annotations": {"argocd.argoproj.io/application-set-refresh": "true"}}
    assert read_application_set({"metadata": metadata}).refreshing


@pytest.mark.parametrize("odd", [7, "x", [], [7], {"a": []}, None, True])
@pytest.mark.parametrize("part", ["metadata", "spec", "status"])
def test_whatever_stands_there_there_is_a_value(part: str, odd: Any):
    for raw in (RAW | {part: odd}, {part: dict.fromkeys(RAW.get(part, {}), odd)}):
        assert isinstance(read_application_set(raw), ApplicationSet)
