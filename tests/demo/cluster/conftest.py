"""An API server of ours, and somebody who asks it."""

import pytest

from bot.demo.cluster.server import ApiServer
from tests.support.api import an_api
from tests.support.crds import crd_schemas


@pytest.fixture
async def server():
    async with ApiServer(schemas=crd_schemas()) as opened:
        opened.put("Namespace", {"metadata": {"name": "argocd"}})
        opened.put("Namespace", {"metadata": {"name": "default"}})
        yield opened


@pytest.fixture
async def api(server, tmp_path):
    async with an_api(server.kubeconfig(tmp_path)) as opened:
        yield opened
