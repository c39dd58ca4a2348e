"""What happened to an Application between two looks at it: for the news and the journal."""

from enum import StrEnum
from typing import Final

from bot.argocd.model import Application, HealthStatus, SyncPhase, SyncStatus, SyncSummary, was_terminated
from bot.argocd.patches import USER_PREFIX

SET_CONTROLLER: Final = "applicationset-controller"
"""The user name of a rolling sync's operations."""


class Happened(StrEnum):
    """Something that happened to an Application."""

    CREATED = "created"
    DELETING = "deleting"
    """Its deletion was asked for."""
    DELETED = "deleted"
    SYNC_STARTED = "sync-started"
    SYNC_RETRIED = "sync-retried"
    """An attempt failed, and the next one was begun or waits."""
    SYNC_SUCCEEDED = "sync-succeeded"
    SYNC_FAILED = "sync-failed"
    SYNC_TERMINATED = "sync-terminated"
    DEPLOYED = "deployed"
    """Another revision than before was deployed."""
    OUT_OF_DATE = "out-of-date"
    """Its sources have moved on, and it was not synced yet."""
    DRIFTED = "drifted"
    """What runs was changed without its sources."""
    IN_SYNC = "in-sync"
    DEGRADED = "degraded"
    MISSING = "missing"
    HEALTHY = "healthy"
    """It is well again, or for the first time."""
    ERROR_APPEARED = "error-appeared"
    """Argo CD has a complaint that it did not have: about comparing, syncing, the specification."""
    ERRORS_GONE = "errors-gone"
    AUTO_SYNC_ON = "auto-sync-on"
    AUTO_SYNC_OFF = "auto-sync-off"


class Initiator(StrEnum):
    """Who began a sync."""

    OURS = "ours"
    AUTO_SYNC = "auto-sync"
    APPLICATION_SET = "application-set"
    KARGO = "kargo"
    SOMEBODY = "somebody"
    """A person or a program, in Argo CD's interface or by its command."""


def initiator_of(sync: SyncSummary) -> Initiator:
    """Say who began a sync."""
    if sync.operation and sync.by.startswith(USER_PREFIX):
        return Initiator.OURS
    if sync.promotion:
        return Initiator.KARGO
    if sync.by == SET_CONTROLLER:
        return Initiator.APPLICATION_SET
    if sync.automated or not sync.by:
        return Initiator.AUTO_SYNC
    return Initiator.SOMEBODY


def what_happened(old: Application | None, new: Application | None) -> tuple[Happened, ...]:
    """Return what happened, causes before effects.

    What is met for the first time was created, which is not what it means while
    all Applications are read for the first time: whoever calls knows that. Dry
    runs change nothing and are not mentioned.
    """
    if new is None:
        return (Happened.DELETED,) if old is not None else ()
    if old is None:
        return (Happened.CREATED,)
    found = (
        Happened.DELETING if new.deleting and not old.deleting else None,
        _auto_sync(old, new),
        _sync(old.last_sync, new.last_sync),
        _deployed(old, new),
        _errors(old, new),
        _comparison(old, new),
        _health(old, new),
    )
    return tuple(each for each in found if each is not None)


def _auto_sync(old: Application, new: Application) -> Happened | None:
    if old.auto_sync.enabled == new.auto_sync.enabled:
        return None
    return Happened.AUTO_SYNC_ON if new.auto_sync.enabled else Happened.AUTO_SYNC_OFF


def _sync(old: SyncSummary | None, new: SyncSummary | None) -> Happened | None:
    """Say what happened to its sync; of one that began and ended in between only the end."""
    if new is None or new.dry_run:
        return None
    same = old is not None and _identity(old) == _identity(new)
    if new.is_over:
        return None if same and old is not None and old.is_over else _end(new)
    if not same:
        return Happened.SYNC_STARTED
    return Happened.SYNC_RETRIED if old is not None and new.retry_count > old.retry_count else None


def _identity(sync: SyncSummary) -> tuple[object, ...]:
    """Argo CD gives syncs no name: they differ in when they began and for whom."""
    return sync.started_at, sync.operation, sync.promotion, sync.by


def _end(sync: SyncSummary) -> Happened:
    if sync.phase is SyncPhase.SUCCEEDED:
        return Happened.SYNC_SUCCEEDED
    terminated = was_terminated(sync.phase, sync.message)
    return Happened.SYNC_TERMINATED if terminated else Happened.SYNC_FAILED


def _deployed(old: Application, new: Application) -> Happened | None:
    if new.deployed is None or not new.deployed.revisions:
        return None
    before = old.deployed
    if before is not None and (before.id >= new.deployed.id or before.revisions == new.deployed.revisions):
        return None
    return Happened.DEPLOYED


def _errors(old: Application, new: Application) -> Happened | None:
    before = {condition.type for condition in old.conditions if condition.is_error}
    after = {condition.type for condition in new.conditions if condition.is_error}
    if after - before:
        return Happened.ERROR_APPEARED
    return Happened.ERRORS_GONE if before and not after else None


def _comparison(old: Application, new: Application) -> Happened | None:
    if old.sync is new.sync:
        return None
    if new.sync is SyncStatus.SYNCED:
        return Happened.IN_SYNC
    if new.sync is SyncStatus.OUT_OF_SYNC and old.sync is SyncStatus.SYNCED:
        moved = old.revisions != new.revisions or old.sources != new.sources
        return Happened.OUT_OF_DATE if moved else Happened.DRIFTED
    return None


def _health(old: Application, new: Application) -> Happened | None:
    if old.health is new.health:
        return None
    match new.health:
        case HealthStatus.DEGRADED:
            return Happened.DEGRADED
        case HealthStatus.MISSING:
            return Happened.MISSING
        case HealthStatus.HEALTHY:
            return Happened.HEALTHY
        case _:
            return None
