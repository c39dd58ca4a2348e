"""Who began a sync: for the news and the journal."""

from enum import StrEnum
from typing import Final

from bot.argocd.model import SyncSummary
from bot.argocd.patches import USER_PREFIX

SET_CONTROLLER: Final = "applicationset-controller"
"""The user name of a rolling sync's operations."""


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
