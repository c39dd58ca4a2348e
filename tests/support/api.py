"""Requests to an API server, ours or a real one, by the client library that the bot uses."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config

JSON = "application/json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
STRATEGIC = "application/strategic-merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def message(self) -> str:
        return str(self.json["message"])

    @property
    def version(self) -> str:
        return str(self.json["metadata"]["resourceVersion"])


class Api:
    """Asks as one user."""

    def __init__(self, api: client.ApiClient, namespace: str = "argocd") -> None:
        self._api = api
        self.namespace = namespace
        """Where the objects of the test are."""

    def apps(self, name: str = "", subresource: str = "") -> str:
        return path_of("argoproj.io/v1alpha1", self.namespace, "applications", name, subresource)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        **query: str,
    ) -> Reply:
        response = await self._send(method, path, body, query, types=(content_type, accept))
        return Reply(response.status, response.response.headers, await response.read())

    async def get(self, path: str, **query: str) -> Reply:
        return await self.ask("GET", path, **query)

    async def create(self, path: str, body: Any, **query: str) -> Reply:
        return await self.ask("POST", path, body, **query)

    async def merge(self, path: str, body: Any, **query: str) -> Reply:
        return await self.ask("PATCH", path, body, content_type=MERGE, **query)

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = JSON, **query: str) -> AsyncIterator["Lines"]:
        response = await self._send("GET", path, None, {"watch": "true", **query}, types=(JSON, accept))
        try:
            yield Lines(response.response)
        finally:
            response.response.close()

    async def _send(
        self, method: str, path: str, body: Any, query: Mapping[str, str], *, types: tuple[str, str]
    ) -> Any:
        content_type, accept = types
        request = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            body=body,
            header_params={"Accept": accept, "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=30, sock_connect=5)
        return await self._api.call_api(*request, _request_timeout=timeout)


class Lines:
    """What a watch tells."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Any:
        """The next event, or None at a proper end."""
        line = await self.response.content.readline()
        return json.loads(line) if line else None

    async def next_change(self) -> tuple[str, str]:
        """The type and the name of the next event that is no bookmark."""
        while (event := await self.next())["type"] == "BOOKMARK":
            pass
        return event["type"], event["object"]["metadata"]["name"]

    async def rest(self) -> list[Any]:
        """All events up to the end."""
        return [event async for event in self]

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (event := await self.next()) is not None:
            yield event


def path_of(
    api_version: str, namespace: str | None, plural: str, name: str = "", subresource: str = ""
) -> str:
    root = "apis" if "/" in api_version else "api"
    place = ["namespaces", namespace] if namespace else []
    return "/" + "/".join(filter(None, [root, api_version, *place, plural, name, subresource]))


@asynccontextmanager
async def an_api(
    kubeconfig: Path | None, *, namespace: str = "argocd", agent: str = "tests/1"
) -> AsyncIterator[Api]:
    """The user of a kubeconfig; without one, that of the environment."""
    configuration = client.Configuration()
    await config.load_kube_config(
        config_file=str(kubeconfig) if kubeconfig else None, client_configuration=configuration
    )
    async with client.ApiClient(configuration) as api:
        api.user_agent = agent
        yield Api(api, namespace)
