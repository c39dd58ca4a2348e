"""Who began a sync is told by what Argo CD writes of it."""

from typing import Any

import pytest

from bot.argocd.initiators import Initiator, initiator_of
from bot.argocd.model import SyncPhase, SyncSummary


@pytest.mark.parametrize(
    ("sync", "initiator"),
    [
        ({"operation": "op", "by": "the-machine/maya"}, Initiator.OURS),
        ({"operation": "op", "by": "mallory"}, Initiator.SOMEBODY),
        ({"automated": True}, Initiator.AUTO_SYNC),
        ({}, Initiator.AUTO_SYNC),
        ({"by": "applicationset-controller", "automated": True}, Initiator.APPLICATION_SET),
        ({"by": "kubernetes:system:serviceaccount:kargo:x", "promotion": "p"}, Initiator.KARGO),
        ({"by": "admin"}, Initiator.SOMEBODY),
    ],
)
def test_who_began_a_sync_is_told_apart(sync: dict[str, Any], initiator: Initiator):
    assert initiator_of(SyncSummary(phase=SyncPhase.RUNNING, **sync)) is initiator
