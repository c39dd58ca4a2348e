"""What is deployed in the demo's cluster, and what happens to it while one looks.

Argo CD's own work is done by the simulated controller; here are the people who
commit and sync, and what they run.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from bot.demo.clock import LateClock
from bot.demo.cluster.applications import a_project, an_application
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.failures import Json
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.server import ApiServer

ARGO_CD = "argocd"
ADA, GRACE = "ada", "grace"
SINCE = timedelta(days=6)
"""How old the Applications are."""

_ADDRESS = "https://argocd.example.org"
_WATCHED_WITHIN_SECONDS = 5
_PASSES_UNTIL_SETTLED = 16
_YESTERDAY = timedelta(days=1, hours=2)


class Applications:
    """The Applications of a small shop, each from a repository of its own."""

    def __init__(self, cluster: ApiServer, controller: ArgoController, clock: LateClock) -> None:
        """Take the cluster, who works in it, and the clock of both: what was long ago is told in no time."""
        self._cluster = cluster
        self._controller = controller
        self._clock = clock

    def tell_what_was(self) -> None:
        """Deploy everything as it has been for days; then the clock is right."""
        address = {"metadata": {"name": "argocd-cm", "namespace": ARGO_CD}, "data": {"url": _ADDRESS}}
        self._cluster.put("ConfigMap", address)
        for name in ("prod", "shop", "platform"):
            self._cluster.put("AppProject", a_project(name))
        self._commit("checkout", _checkout("1.7.3"), "Take cards by post code too", by=GRACE)
        self._commit("storefront", _storefront("2.3.0"), "Show what is in stock", by=ADA)
        self._commit("api", _service("api", "5.0.2"), "Answer faster", by=GRACE)
        self._commit("search", _search("8.13.0", degrades=False), "Search in three languages", by=ADA)
        self._commit("the-machine", _service("the-machine", "1.0.0"), "Watch over it", by=GRACE)
        self._put("checkout", project="prod", deployed_to="prod", labels={"team": "payments"})
        self._put("storefront", project="shop", deployed_to="shop", labels={"team": "web"})
        self._put("search", project="shop", deployed_to="shop", labels={"team": "web"})
        self._put("the-machine", project="platform", deployed_to="the-machine")
        automatic = {"prune": True, "selfHeal": True}
        self._put("api", project="shop", deployed_to="shop", labels={"team": "web"}, automated=automatic)
        self._plant()
        for app in self._cluster.objects("Application"):
            self._deploy(app["metadata"]["name"], by=GRACE)
        self._clock.move_to(_YESTERDAY)
        self._commit("checkout", _checkout("1.8.0"), "Round taxes as the law does", by=ADA)
        self._commit("search", _search("8.14.1", degrades=True), "Search with typing errors", by=ADA)
        for name in ("checkout", "search"):
            self._deploy(name, by=ADA)
        self._commit("storefront", _storefront("2.4.0"), "Sell gift cards", by=ADA)
        self._commit("ingress-nginx", _service("ingress-nginx", "1.12.1"), "Close CVE-2026-1097", by=GRACE)
        self._commit("monitoring", _monitoring("0.74.0"), "Keep metrics for 30 days", by=GRACE)
        for name in ("storefront", "ingress-nginx", "monitoring"):
            self._look_at(name)
        self._clock.move_to(timedelta(0))

    async def until_watched(self) -> None:
        """Return once somebody watches them: what happened before that, nobody can have seen."""
        with suppress(TimeoutError):
            await self._cluster.wait_until(
                lambda: self._cluster.calls("watch", "applications"), within=_WATCHED_WITHIN_SECONDS
            )

    def deploy_a_leak(self) -> None:
        """Have Ada deploy what crashes: what the demo's alert is about."""
        leaking = _checkout("1.9.0", degrades=True)
        self._commit("checkout", leaking, "Keep sessions in memory", by=ADA)
        self._deploy("checkout", by=ADA)

    def commit_the_repair(self) -> None:
        """Have Ada commit what ends the crashes; somebody must sync it."""
        self._commit("checkout", _checkout("1.9.1"), "Forget sessions that are over", by=ADA)
        self._look_at("checkout")

    def deploy_the_repair(self) -> None:
        """Have Ada sync it herself, unless somebody does or did."""
        app = self._get("checkout")
        if "operation" not in app and app["status"]["sync"]["status"] != "Synced":
            self._begin_sync("checkout", by=ADA)

    @property
    def is_repaired(self) -> bool:
        """Whether the checkout works again."""
        app = self._get("checkout")
        return "operation" not in app and app["status"]["health"]["status"] == "Healthy"

    def deploy_to_api(self, version: str, message: str) -> None:
        """Have Grace commit what deploys itself, and let it."""
        self.commit_to_api(version, message)
        self._settle("api")

    def commit_to_api(self, version: str, message: str) -> None:
        """Have Grace commit what deploys itself."""
        self._commit("api", _service("api", version), message, by=GRACE)

    def _plant(self) -> None:
        """Make the Application of Applications, with what it applies."""
        self._commit("cert-manager", _service("cert-manager", "1.17.2"), "Begin", by=GRACE)
        self._commit("ingress-nginx", _service("ingress-nginx", "1.11.4"), "Begin", by=GRACE)
        self._commit("monitoring", _monitoring("0.72.0"), "Begin", by=GRACE)
        children = [
            Piece(
                kind="Application",
                name=name,
                namespace=ARGO_CD,
                wave=wave,
                application=_application(name, project="platform", deployed_to=name),
            )
            for wave, name in enumerate(("cert-manager", "ingress-nginx", "monitoring"))
        ]
        self._commit("platform", children, "Begin", by=GRACE)
        self._put("platform", project="platform", deployed_to=ARGO_CD)
        self._deploy("platform", by=GRACE)

    def _commit(self, name: str, pieces: list[Piece], message: str, *, by: str) -> None:
        author = f"{by.title()} <{by}@example.org>"
        self._controller.repositories.commit(
            _repository(name), "deploy", pieces, message=message, author=author
        )

    def _put(self, name: str, **options: Any) -> None:
        self._cluster.put("Application", _application(name, **options))

    def _get(self, name: str) -> Json:
        return self._cluster.get("Application", ARGO_CD, name)

    def _deploy(self, name: str, *, by: str) -> None:
        """Sync as a person does at Argo CD, without the time that it would take."""
        if "automated" not in self._get(name)["spec"].get("syncPolicy", {}):
            self._look_at(name)
            self._begin_sync(name, by=by)
        self._settle(name)

    def _settle(self, name: str) -> None:
        """Have Argo CD do all that there is to do."""
        for _ in range(_PASSES_UNTIL_SETTLED):
            self._look_at(name)

    def _begin_sync(self, name: str, *, by: str) -> None:
        operation = {"initiatedBy": {"username": by}, "sync": {"syncStrategy": {"hook": {}}}}
        patch = {"operation": operation, "status": {"operationState": None}}
        self._cluster.patch("Application", ARGO_CD, name, patch)

    def _look_at(self, name: str) -> None:
        self._controller.step_one(ARGO_CD, name)


def _repository(name: str) -> str:
    return f"https://git.example.org/{name}.git"


def _application(name: str, **options: Any) -> Json:
    return an_application(name, repo=_repository(name), path="deploy", **options)


def _image(name: str, version: str) -> str:
    return f"registry.example.org/{name}:{version}"


def _service(name: str, version: str) -> list[Piece]:
    return [
        Piece(kind="ConfigMap", name=f"{name}-config", content=version),
        Piece(kind="Deployment", name=name, image=_image(name, version), passes=3),
        Piece(kind="Service", name=name),
    ]


def _checkout(version: str, *, degrades: bool = False) -> list[Piece]:
    image = _image("checkout", version)
    return [
        Piece(kind="Job", name="migrate", hook="PreSync", image=image, passes=2),
        Piece(kind="ConfigMap", name="checkout-config", content=version, wave=1),
        Piece(kind="Deployment", name="checkout", image=image, passes=3, degrades=degrades, wave=2),
        Piece(kind="Service", name="checkout", wave=2),
    ]


def _storefront(version: str) -> list[Piece]:
    def deployment(name: str, wave: int) -> Piece:
        return Piece(kind="Deployment", name=name, image=_image(name, version), passes=2, wave=wave)

    return [
        Piece(kind="Job", name="migrate", hook="PreSync", image=_image("catalogue", version), passes=2),
        Piece(kind="ConfigMap", name="storefront-config", content=version),
        Piece(kind="StatefulSet", name="carts", image="docker.io/valkey/valkey:8.1", passes=2),
        deployment("catalogue", 1),
        deployment("web", 2),
        deployment("images", 2),
        Piece(kind="Ingress", name="storefront", content="shop.example.org", wave=3),
        Piece(kind="Job", name="smoke-test", hook="PostSync", image=_image("web", version), passes=2),
    ]


def _search(version: str, *, degrades: bool) -> list[Piece]:
    image = _image("elasticsearch", version)
    return [
        Piece(kind="StatefulSet", name="search", image=image, passes=2, degrades=degrades),
        Piece(kind="Service", name="search"),
    ]


def _monitoring(version: str) -> list[Piece]:
    return [
        Piece(kind="Deployment", name="operator", image=_image("operator", version), passes=2),
        Piece(kind="StatefulSet", name="prometheus", image=_image("prometheus", "3.4.0"), passes=3, wave=1),
        Piece(kind="ServiceMonitor", name="everything", content=version, wave=2),
    ]
