"""`python -m bot.demo.cluster`: run the simulated cluster by itself, until it is interrupted.

It prints the path of a kubeconfig: `KUBECONFIG=… kubectl get applications -A` works.
"""

import argparse
import asyncio
import json
import signal
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bot.demo.cluster.applications import REPO, a_project, an_application
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.argocd_server import TOKEN, ArgoCdServer
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.server import ApiServer

_VISITOR = "system:visitor"
_NAMES = ("checkout", "payments", "search", "storefront")


async def run(folder: Path, *, port: int, applications: int) -> None:
    """Serve until a signal comes."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ApiServer(port=port))
        # Whoever says nothing is somebody too: kubectl sends no token without TLS.
        server.rights.add_user(_VISITOR, "")
        controller = ArgoController(server)
        _furnish(server, controller, applications)
        argo = await stack.enter_async_context(ArgoCdServer(server, controller))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = tasks.create_task(controller.loop().run(), name="argocd")
        print(
            json.dumps(
                {
                    "kubeconfig": str(server.kubeconfig(folder)),
                    "url": server.url,
                    "argocd": argo.url,
                    "argocd_token": TOKEN,
                }
            ),
            flush=True,
        )
        await stopped.wait()
        running.cancel()


def _furnish(server: ApiServer, controller: ArgoController, applications: int) -> None:
    server.put("Namespace", {"metadata": {"name": "default"}})
    server.put("AppProject", a_project())
    for number in range(applications):
        name = _NAMES[number] if number < len(_NAMES) else f"app-{number:04}"
        pieces = [
            Piece(kind="ConfigMap", name=f"{name}-config", content="1", wave=-1),
            Piece(kind="Deployment", name=name, image=f"registry.example.org/{name}:1.4.2", passes=3),
            Piece(kind="Service", name=name),
        ]
        controller.repositories.commit(REPO, f"apps/{name}", pieces, message=f"Deploy {name}")
        server.put("Application", an_application(name))


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m bot.demo.cluster", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the API server; 0 takes a free one")
    parser.add_argument("--applications", type=int, default=len(_NAMES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="the-machine-cluster-") as folder:
        asyncio.run(run(Path(folder), port=arguments.port, applications=arguments.applications))


if __name__ == "__main__":
    main()
