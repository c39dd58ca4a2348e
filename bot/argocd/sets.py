"""ApplicationSets, and how they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from bot.argocd.fields import mapping, moment, number, objects, text, texts
from bot.argocd.model import HealthStatus
from bot.argocd.reading import read_key
from bot.kube.model import Json, ObjectKey

REFRESH_ANNOTATION: Final = "argocd.argoproj.io/application-set-refresh"
"""Asks for a refresh; its controller removes it at the end."""

_HEALTH: Final[Mapping[str, HealthStatus]] = {status.value: status for status in HealthStatus}


class SetCondition(NamedTuple):
    """What an ApplicationSet says about itself."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None


class RolloutState(NamedTuple):
    """Where one Application is in the rolling sync of its ApplicationSet."""

    application: str
    status: str
    """`Waiting`, `Pending`, `Progressing` or `Healthy`."""
    step: str
    message: str
    target_revisions: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSet:
    """What makes Applications from a template."""

    key: ObjectKey
    project: str = ""
    """Of the Applications that it makes; may be a template."""
    generators: tuple[str, ...] = ()
    conditions: tuple[SetCondition, ...] = ()
    rollout: tuple[RolloutState, ...] = ()
    rolling_steps: int | None = None
    """None: its Applications are not synced in steps."""
    policy: str = "sync"
    """What it may do with its Applications: `sync`, `create-only`, `create-update`, `create-delete`."""
    applications: int = 0
    """How many resources it says to have made."""
    health: HealthStatus = HealthStatus.UNKNOWN
    refreshing: bool = False
    deleting: bool = False

    @property
    def errors(self) -> tuple[SetCondition, ...]:
        """What is wrong with it."""
        return tuple(
            condition
            for condition in self.conditions
            if (condition.type == "ErrorOccurred" and condition.status == "True")
            or (
                condition.type in {"ParametersGenerated", "ResourcesUpToDate"} and condition.status == "False"
            )
        )


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
