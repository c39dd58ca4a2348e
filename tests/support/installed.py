"""The chart in a real cluster: its objects are applied, and its ServiceAccount gives a kubeconfig."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.api import APPLY, Api
from tests.support.helm import RELEASE

OF_RIGHTS = ("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


class Places:
    """Where the API server keeps objects of a kind, as it says itself."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, dict[str, Any]] = {}

    async def path(self, document: Mapping[str, Any], namespace: str) -> str | None:
        """Return the path of an object, or None where its kind is not served."""
        version = document["apiVersion"]
        if version not in self._known:
            root = "/apis/" if "/" in version else "/api/"
            answer = await self._api.get(root + version)
            resources = answer.json["resources"] if answer.status == 200 else []
            self._known[version] = {each["kind"]: each for each in resources if "/" not in each["name"]}
        found = self._known[version].get(document["kind"])
        if found is None:
            return None
        place = document["metadata"].get("namespace", namespace)
        within = f"/namespaces/{place}" if found["namespaced"] else ""
        root = "/apis/" if "/" in version else "/api/"
        return f"{root}{version}{within}/{found['name']}/{document['metadata']['name']}"


@asynccontextmanager
async def applied(
    api: Api, documents: Iterable[Mapping[str, Any]], namespace: str
) -> AsyncIterator[tuple[str, ...]]:
    """Have objects in the cluster, by server-side apply; gives the kinds that are not served there."""
    places, unserved, paths = Places(api), set(), []
    try:
        for document in documents:
            path = await places.path(document, namespace)
            if path is None:
                unserved.add(document["kind"])
                continue
            answer = await api.ask(
                "PATCH", path, document, content_type=APPLY, fieldManager="tests", fieldValidation="Strict"
            )
            assert answer.status in {200, 201}, f"{document['kind']}: {answer.message}"
            paths.append(path)
        yield tuple(sorted(unserved))
    finally:
        for path in reversed(paths):
            await api.ask("DELETE", path)


async def as_the_bot(api: Api, kubeconfig: Path, folder: Path, namespace: str) -> Path:
    """Write a kubeconfig of the chart's ServiceAccount, with a token as a pod is given."""
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{RELEASE}/token"
    given = await api.create(path, wanted)
    assert given.status == 201, given.raw
    return _written(kubeconfig, given.json["status"]["token"], folder / "bot.kubeconfig")


def _written(kubeconfig: Path, token: str, target: Path) -> Path:
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    current = next(each for each in config["contexts"] if each["name"] == config["current-context"])
    context = {"name": "bot", "context": {"cluster": current["context"]["cluster"], "user": "bot"}}
    user = {"name": "bot", "user": {"token": token}}
    made = {**config, "users": [user], "contexts": [context], "current-context": "bot"}
    target.write_text(yaml.safe_dump(made), encoding="utf-8")
    return target
