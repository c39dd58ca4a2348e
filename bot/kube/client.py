"""The `kubernetes` package, met here alone, and as transport only: configuration, credentials, connections.

Its watch, informer and leader election are not used: they reconnect a thousand
times a second on an odd answer, or leave two leaders. Importing it brings
20 MB and all of its synchronous half along, so that `bot.kube.transport`
imports this module only once a cluster is asked.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import kube_config
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from bot.core.errors import BrokenError, UnavailableError
from bot.kube.settings import ClusterSettings, Surroundings
from bot.telemetry.requests import only_while
from bot.version import VERSION

USER_AGENT = f"the-machine/{VERSION}"
"""Must not look like a browser's or curl's, for which the server would spread JSON over many lines."""

_CONNECT_SECONDS = 5.0
_IN_A_POD = "KUBERNETES_SERVICE_HOST"
_UNUSABLE = (
    ConfigException,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    kube_config.yaml.YAMLError,  # type: ignore[attr-defined]  # YAML itself is bot.settings'
)
"""What reading a kubeconfig raises, which has whatever shape somebody gave it."""

_Load = Callable[[], Awaitable[None]]
"""Reads the credentials into the configuration."""


class Client:
    """Connections to one API server, with credentials that are kept fresh."""

    def __init__(self, configuration: Configuration) -> None:
        self._api = ApiClient(configuration)
        self._api.user_agent = USER_AGENT

    async def open(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return its answer, whatever the status, with the body still to be read.

        Raises:
            UnavailableError: There is no answer. What was asked may still have been done.
        """
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params=dict(headers),
                body=None if body is None else dict(body),
                auth_settings=["BearerToken"],
            )
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
            answer = await self._api.call_api(*request, _request_timeout=timeout)
        except aiohttp.ClientError as error:
            raise UnavailableError(_why(error)) from error
        # Among them a token that cannot be put into a header.
        except (OSError, ValueError) as error:
            raise UnavailableError("Kubernetes cannot be asked with these credentials.") from error
        response: aiohttp.ClientResponse = answer.response
        return response

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()


async def connect(
    settings: ClusterSettings, surroundings: Surroundings, may_act: Callable[[], None]
) -> Client:
    """Return a client by the configuration, which connects when it is first used.

    `may_act` is asked before each request, after its credentials and its connection were waited for.

    Raises:
        UnavailableError: There are no credentials, or not yet.
        BrokenError: The kubeconfig is not usable as it is.
    """
    configuration = Configuration()
    configuration.trace_configs = [only_while(may_act)]
    if _is_in_pod(settings, surroundings):
        load = _account(configuration, surroundings)
    else:
        load = await _kubeconfig(configuration, settings, surroundings)
    await _keep_fresh(configuration, load, surroundings.fresh_for)
    try:
        # Apart, for it reads the certificates of all authorities there are.
        return await asyncio.to_thread(Client, configuration)
    except (OSError, ValueError) as error:
        raise BrokenError("The certificates for Kubernetes cannot be read.") from error


def _is_in_pod(settings: ClusterSettings, surroundings: Surroundings) -> bool:
    return settings.context is None and settings.kubeconfig is None and _IN_A_POD in surroundings.environ


def _account(configuration: Configuration, surroundings: Surroundings) -> _Load:
    loader = InClusterConfigLoader(
        token_filename=str(surroundings.account / "token"),
        cert_filename=str(surroundings.account / "ca.crt"),
        environ=surroundings.environ,
    )

    async def load() -> None:
        try:
            loader.load_and_set(configuration)
        except (ConfigException, OSError, ValueError) as error:
            raise UnavailableError("The service account for Kubernetes cannot be read.") from error

    return load


async def _kubeconfig(
    configuration: Configuration, settings: ClusterSettings, surroundings: Surroundings
) -> _Load:
    paths = _kubeconfigs(settings, surroundings)
    if not any(path.is_file() for path in paths):
        named = ", ".join(map(str, paths))
        raise UnavailableError(f"There is no way to Kubernetes: not in a pod, and no kubeconfig at {named}.")
    which = f"the context {settings.context}" if settings.context else "its current context"
    unusable = f"The kubeconfig cannot be used with {which}."
    try:
        loader = await kube_config.load_kube_config(
            config_file=kube_config.ENV_KUBECONFIG_PATH_SEPARATOR.join(map(str, paths)),
            context=settings.context,
            client_configuration=configuration,
            persist_config=False,
        )
    except _UNUSABLE as error:
        raise BrokenError(unusable) from error

    async def load() -> None:
        try:
            await loader.load_and_set(configuration)
        except _UNUSABLE as error:
            raise UnavailableError(unusable) from error

    return load


async def _keep_fresh(configuration: Configuration, load: _Load, fresh_for: timedelta) -> None:
    """Load credentials now, and again before requests: those of files and programs change."""
    now = asyncio.get_running_loop().time
    fresh_until = 0.0

    async def refresh(_: Configuration) -> None:
        nonlocal fresh_until
        if now() < fresh_until:
            return
        await load()
        if token := configuration.api_key.get("BearerToken"):
            # As kubectl does: a file that was written by hand ends in a newline.
            configuration.api_key["BearerToken"] = token.strip()
        configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]  # declared as None there
        fresh_until = now() + fresh_for.total_seconds()

    await refresh(configuration)


def _kubeconfigs(settings: ClusterSettings, surroundings: Surroundings) -> list[Path]:
    if settings.kubeconfig is not None:
        return [settings.kubeconfig]
    named = surroundings.environ.get("KUBECONFIG", "")
    found = [Path(path) for path in named.split(kube_config.ENV_KUBECONFIG_PATH_SEPARATOR) if path]
    return found or [Path(surroundings.environ.get("HOME", "~")).expanduser() / ".kube" / "config"]


def _why(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "Kubernetes shows a certificate that is not trusted."
    if isinstance(error, aiohttp.ClientConnectorError):
        return "Kubernetes cannot be reached."
    return "The connection to Kubernetes broke."
