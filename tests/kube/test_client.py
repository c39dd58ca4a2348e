"""The ways to the cluster: a pod's service account, a kubeconfig and its contexts."""

import asyncio
import contextlib
import json
import shutil
import ssl
import subprocess
from datetime import timedelta

import pytest

from bot.core.errors import BrokenError, UnavailableError
from bot.demo.cluster.server import TOKEN
from bot.kube.model import ForbiddenError
from bot.kube.settings import ClusterSettings, Surroundings
from bot.kube.transport import Cluster
from tests.support.clock import ManualClock
from tests.support.kube import APPLICATIONS

NEVER_FRESH = timedelta(0)


def a_cluster(surroundings, **settings):
    return Cluster(ClusterSettings(**settings), ManualClock(), surroundings=surroundings)


def around(**environ):
    return Surroundings(environ, fresh_for=NEVER_FRESH)


def make_certificate(folder):
    files = {"-keyout": folder / "key.pem", "-out": folder / "ca.crt"}
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "keyUsage=critical,keyCertSign,digitalSignature"),
            *(str(part) for pair in files.items() for part in pair),
        ],
        check=True,
        capture_output=True,
    )
    return files["-out"], files["-keyout"]


@contextlib.asynccontextmanager
async def encrypted(server, folder):
    """The same server behind TLS, as every real one is; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(folder))
    to_port = int(server.url.rpartition(":")[2])

    async def pipe(reader, writer):
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to_port)
        await asyncio.gather(pipe(reader, there_writer), pipe(there_reader, writer))

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    yield proxy.sockets[0].getsockname()[1]
    proxy.close()


@pytest.fixture
async def pod(server, tmp_path):
    """What a process finds around itself in a pod."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(TOKEN)
    async with encrypted(server, account) as port:
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        yield Surroundings(environ, account, NEVER_FRESH)


async def test_in_a_pod_the_service_account_is_used(server, pod):
    async with a_cluster(pod) as cluster:
        assert await cluster.list(APPLICATIONS) == []
    assert server.requests[-1].user == "system:serviceaccount:the-machine:the-machine"


async def test_a_token_that_was_replaced_is_used(server, pod):
    async with a_cluster(pod) as cluster:
        await cluster.list(APPLICATIONS)
        server.rights.add_user("later", "another-token")
        server.rights.revoke(TOKEN)
        (pod.account / "token").write_text("another-token\n")
        await cluster.list(APPLICATIONS)
    assert server.requests[-1].user == "later"


@pytest.mark.parametrize("content", [None, "", "two\nlines"])
async def test_while_a_token_is_being_replaced_the_cluster_is_unavailable(pod, content):
    token = pod.account / "token"
    async with a_cluster(pod) as cluster:
        await cluster.list(APPLICATIONS)
        if content is None:
            token.unlink()
        else:
            token.write_text(content)
        with pytest.raises(UnavailableError):
            await cluster.list(APPLICATIONS)
        token.write_text(TOKEN)
        await cluster.list(APPLICATIONS)


async def test_a_service_account_that_comes_late_is_waited_for(pod):
    (pod.account / "token").rename(pod.account / "later")
    async with a_cluster(pod) as cluster:
        with pytest.raises(UnavailableError, match="service account"):
            await cluster.list(APPLICATIONS)
        (pod.account / "later").rename(pod.account / "token")
        await cluster.list(APPLICATIONS)


async def test_a_certificate_of_somebody_else_is_not_trusted(server, pod, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    async with encrypted(server, other):
        (pod.account / "ca.crt").write_bytes((other / "ca.crt").read_bytes())
    async with a_cluster(pod) as cluster:
        with pytest.raises(UnavailableError, match="not trusted"):
            await cluster.list(APPLICATIONS)
    assert not server.requests


async def test_a_token_that_is_not_accepted_is_told(server, cluster):
    server.rights.revoke(TOKEN)
    with pytest.raises(ForbiddenError, match="credentials"):
        await cluster.list(APPLICATIONS)


@pytest.mark.parametrize("way", ["setting", "environment", "home"])
async def test_outside_a_pod_a_kubeconfig_is_used(server, tmp_path, way):
    path = server.kubeconfig(tmp_path)
    match way:
        case "setting":
            cluster = a_cluster(around(KUBERNETES_SERVICE_HOST="10.0.0.1"), kubeconfig=path)
        case "environment":
            cluster = a_cluster(around(KUBECONFIG=f"/nowhere:{path}"))
        case _:
            (tmp_path / ".kube").mkdir()
            path.rename(tmp_path / ".kube" / "config")
            cluster = a_cluster(around(HOME=str(tmp_path)))
    async with cluster:
        await cluster.list(APPLICATIONS)


async def test_the_token_file_of_a_kubeconfig_is_read_again(server, tmp_path):
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    path = server.kubeconfig(tmp_path, token_file=token)
    async with a_cluster(around(), kubeconfig=path) as cluster:
        await cluster.list(APPLICATIONS)
        server.rights.add_user("later", "another-token")
        token.write_text("another-token")
        await cluster.list(APPLICATIONS)
        assert server.requests[-1].user == "later"
        token.unlink()
        with pytest.raises(UnavailableError):
            await cluster.list(APPLICATIONS)


async def test_a_context_can_be_chosen(server, tmp_path):
    path = server.kubeconfig(tmp_path)
    tree = json.loads(path.read_text())
    tree["clusters"].append({"name": "other", "cluster": {"server": "http://127.0.0.1:1"}})
    tree["contexts"].append({"name": "other", "context": {"cluster": "other", "user": "the-machine"}})
    path.write_text(json.dumps({**tree, "current-context": "other"}))
    in_pod = around(KUBERNETES_SERVICE_HOST="10.0.0.1", KUBECONFIG=str(path))
    async with a_cluster(in_pod, context="simulated") as cluster:
        await cluster.list(APPLICATIONS)
    async with a_cluster(around(), kubeconfig=path) as cluster:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await cluster.list(APPLICATIONS)
    async with a_cluster(around(), kubeconfig=path, context="prod") as cluster:
        with pytest.raises(BrokenError, match="with the context prod"):
            await cluster.list(APPLICATIONS)


@pytest.mark.parametrize("content", ["", "[]", "{", "a: b: c", "clusters: 7", "\0"])
async def test_a_kubeconfig_that_makes_no_sense_is_told(tmp_path, content):
    path = tmp_path / "config"
    path.write_text(content)
    async with a_cluster(around(), kubeconfig=path) as cluster:
        with pytest.raises(BrokenError, match="kubeconfig cannot be used with its current context"):
            await cluster.list(APPLICATIONS)
