"""Read ApplicationSets."""

from collections.abc import Mapping
from typing import Any, Final

from bot.argocd.fields import mapping, moment, number, objects, text, texts
from bot.argocd.model import ApplicationSet, HealthStatus, RolloutState, SetCondition
from bot.argocd.reading import read_key
from bot.kube.model import Json

REFRESH_ANNOTATION: Final = "argocd.argoproj.io/application-set-refresh"
"""Asks for a refresh; its controller removes it at the end."""

_HEALTH: Final[Mapping[str, HealthStatus]] = {status.value: status for status in HealthStatus}


def read_application_set(raw: Json) -> ApplicationSet:
    """Return what is kept of an ApplicationSet."""
    metadata, spec, status = (mapping(raw.get(part)) for part in ("metadata", "spec", "status"))
    template = mapping(mapping(spec.get("template")).get("spec"))
    made = objects(status.get("resources"))
    return ApplicationSet(
        key=read_key(raw),
        project=text(template.get("project")),
        generators=tuple(
            dict.fromkeys(
                name
                for generator in objects(spec.get("generators"))
                for name in generator
                if name != "selector"
            )
        ),
        conditions=tuple([_condition(each) for each in objects(status.get("conditions"))]),
        rollout=tuple([_rollout(each) for each in objects(status.get("applicationStatus"))]),
        rolling_steps=_rolling_steps(mapping(spec.get("strategy"))),
        policy=text(mapping(spec.get("syncPolicy")).get("applicationsSync")) or "sync",
        applications=number(status.get("resourcesCount")) or len(made),
        health=_HEALTH.get(text(mapping(status.get("health")).get("status")), HealthStatus.UNKNOWN),
        refreshing=REFRESH_ANNOTATION in mapping(metadata.get("annotations")),
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def _rolling_steps(strategy: Mapping[str, Any]) -> int | None:
    if strategy.get("type") != "RollingSync":
        return None
    return len(objects(mapping(strategy.get("rollingSync")).get("steps")))


def _condition(raw: Mapping[str, Any]) -> SetCondition:
    return SetCondition(
        text(raw.get("type")),
        text(raw.get("status")),
        text(raw.get("reason")),
        text(raw.get("message")),
        moment(raw.get("lastTransitionTime")),
    )


def _rollout(raw: Mapping[str, Any]) -> RolloutState:
    return RolloutState(
        application=text(raw.get("application")),
        status=text(raw.get("status")),
        step=text(raw.get("step")),
        message=text(raw.get("message")),
        target_revisions=texts(raw.get("targetRevisions")),
        since=moment(raw.get("lastTransitionTime")),
    )
