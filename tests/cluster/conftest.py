"""Tests against the cluster that KUBECONFIG names: `pytest -m cluster`.

It must have the CustomResourceDefinitions of Argo CD, but no controller of Argo CD needs to run; each test
works in a namespace of its own, which it deletes afterwards.
"""

import os
import uuid
from pathlib import Path

import pytest

from tests.support.api import an_api


def pytest_collection_modifyitems(items):
    # The cluster may be anywhere; every other test stays on loopback.
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.enable_socket)
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture
async def api():
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    namespace = f"the-machine-test-{uuid.uuid4().hex[:8]}"
    async with an_api(None, namespace=namespace) as opened:
        if (await opened.get("/apis/argoproj.io/v1alpha1")).status != 200:
            pytest.skip("the cluster has no CustomResourceDefinitions of Argo CD")
        created = await opened.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert created.status == 201, created.raw
        try:
            yield opened
        finally:
            for app in (await opened.get(opened.apps())).json["items"]:
                await opened.merge(opened.apps(app["metadata"]["name"]), {"metadata": {"finalizers": None}})
            await opened.ask("DELETE", f"/api/v1/namespaces/{namespace}")
