"""Which of the rights that we need the API server does not give us."""

import asyncio
from collections.abc import Iterable

from bot.kube.model import Right
from bot.kube.transport import Cluster


async def missing_rights(cluster: Cluster, wanted: Iterable[Right]) -> tuple[Right, ...]:
    """Return those that we lack, in the order given; asks for all of them at the same time."""
    rights = tuple(wanted)
    given = await asyncio.gather(*(_has(cluster, right) for right in rights))
    return tuple(right for right, has in zip(rights, given, strict=True) if not has)


async def _has(cluster: Cluster, right: Right) -> bool:
    return await cluster.may(
        right.verb, right.resource, right.namespace, right.name, subresource=right.subresource
    )
