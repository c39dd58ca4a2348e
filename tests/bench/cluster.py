"""5,000 Applications of 20 KB, watched: what they cost in memory, and whether they hold everything else up."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bot.argocd.cluster import APPLICATIONS
from bot.demo.cluster.server import ApiServer
from bot.demo.cluster.watching import StreamingLists
from tests.bench.figures import Figure, at_most

COUNT = 5_000
_KEPT = 3.0
"""KiB for each Application."""
_PEAK = 80.0
"""MiB above idle."""
_BLOCKED = 50.0
"""Milliseconds."""
_SIZE = 20_000


async def measure(folder: Path) -> AsyncIterator[Figure]:
    """Let a process of its own watch them: by a streaming list, and by pages from an older server."""
    async with ApiServer() as server:
        size = 0
        for number in range(COUNT):
            size += len(json.dumps(server.put(APPLICATIONS, a_large_application(number))))
        kubeconfig = server.kubeconfig(folder)
        bare = await _run(kubeconfig, "--bare")
        yield Figure(
            f"{COUNT} Applications of {size / COUNT / 1000:.1f} KB, only parsed", f"{bare['took']:.1f} s"
        )
        for way, streaming in (("stream", StreamingLists.SUPPORTED), ("pages", StreamingLists.REFUSED)):
            server.streaming_lists = streaming
            seen = await _run(kubeconfig)
            yield Figure(f"watched, {way}: known", f"{seen['took']:.1f} s", baseline=f"{bare['took']:.1f} s")
            yield at_most(f"  kept for each, {way}", seen["kept"] / 1024, _KEPT, "KiB")
            yield at_most(f"  peak above idle, {way}", seen["peak"], _PEAK, "MiB")
            # By its own time: what others on this machine do meanwhile is in the baseline.
            by_clock, idle = seen["blocked"] * 1000, seen["blocked_idle"] * 1000
            baseline = f"by the clock {by_clock:.0f} ms, idle {idle:.0f} ms"
            name = f"  event loop blocked at worst, {way}"
            yield at_most(name, seen["blocked_cpu"] * 1000, _BLOCKED, "ms", baseline=baseline)


async def _run(kubeconfig: Path, *options: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.watcher", str(kubeconfig), str(COUNT), *options),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


def a_large_application(number: int) -> dict[str, Any]:
    """An Application as a platform has it: forty resources, ten deployments, the last sync with its results."""
    name, team = f"service-{number:05}", f"team-{number % 40}"
    resources = [
        {
            "group": "apps" if kind == "Deployment" else "",
            "version": "v1",
            "kind": kind,
            "namespace": team,
            "name": f"{name}-{kind.lower()}-{index}",
            "status": "Synced",
            "syncWave": index,
            "health": {"status": "Healthy"},
        }
        for kind in ("Deployment", "Service", "ConfigMap", "ServiceAccount")
        for index in range(10)
    ]
    source = {
        "repoURL": f"https://git.example.org/{team}/{name}.git",
        "path": "deploy/overlays/prod",
        "targetRevision": "main",
    }
    results = [
        {**{key: each[key] for key in ("group", "version", "kind", "namespace", "name")}}
        | {
            "status": "Synced",
            "message": f"{each['kind'].lower()}/{each['name']} configured",
            "syncPhase": "Sync",
        }
        for each in resources
    ]
    thing = {
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "labels": {"team": team, "tier": f"tier-{number % 3}", "app.kubernetes.io/name": name},
            "annotations": {"argocd.argoproj.io/sync-wave": str(number % 5)},
        },
        "spec": {
            "project": team,
            "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": team},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
        "status": {
            "sync": {
                "status": "Synced" if number % 7 else "OutOfSync",
                "revision": _commit(number, 0),
                "comparedTo": {"source": source},
            },
            "health": {"status": "Healthy" if number % 11 else "Degraded"},
            "resources": resources,
            "summary": {"images": [f"registry.example.org/{team}/{name}:{_commit(number, 0)[:10]}"]},
            "history": [
                {
                    "id": index,
                    "revision": _commit(number, index),
                    "deployedAt": f"2026-11-{index + 1:02}T10:00:00Z",
                    "deployStartedAt": f"2026-11-{index + 1:02}T09:59:00Z",
                    "source": source,
                    "initiatedBy": {"automated": True},
                }
                for index in range(10)
            ],
            "operationState": {
                "phase": "Succeeded",
                "message": "successfully synced (all tasks run)",
                "startedAt": "2026-11-10T09:59:00Z",
                "finishedAt": "2026-11-10T10:00:00Z",
                "operation": {"sync": {"revision": _commit(number, 0)}, "initiatedBy": {"automated": True}},
                "syncResult": {"revision": _commit(number, 0), "source": source, "resources": results},
            },
            "reconciledAt": "2026-11-21T11:59:00Z",
            "sourceType": "Kustomize",
        },
    }
    missing = _SIZE - len(json.dumps(thing))
    if missing > 0:
        applied = "x" * missing
        thing["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = applied
    return thing


def _commit(number: int, index: int) -> str:
    return hashlib.sha1(f"{number}/{index}".encode()).hexdigest()
