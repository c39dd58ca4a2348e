"""The chart against a real API server: what it renders is taken, by the strictest rules for pods."""

import os
import uuid
from pathlib import Path

import pytest

from tests.support.api import an_api
from tests.support.chart_rights import EVERYTHING_ON
from tests.support.helm import CHART, RELEASE, render
from tests.support.installed import applied

EXAMPLES = sorted((CHART / "ci").glob("*.yaml"), key=lambda path: path.name)
NOT_PART_OF_KUBERNETES = {"Cluster", "HTTPRoute", "PrometheusRule", "ServiceMonitor"}


@pytest.fixture
async def place():
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    name = f"the-machine-test-{uuid.uuid4().hex[:8]}"
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    async with an_api(None, namespace=name) as api:
        created = await api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": restricted}})
        assert created.status == 201, created.raw
        try:
            yield api
        finally:
            await api.ask("DELETE", f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
async def test_every_example_is_taken_and_its_pod_is_admitted(place, example: Path):
    await install_and_admit(place, render(files=[example], namespace=place.namespace))


async def test_everything_on_is_taken_and_its_pod_is_admitted(place):
    await install_and_admit(place, render(EVERYTHING_ON, namespace=place.namespace))


async def install_and_admit(place, release):
    documents = [
        each for each in release.documents if "helm.sh/hook" not in each["metadata"].get("annotations", {})
    ]
    elsewhere = {each["metadata"].get("namespace", place.namespace) for each in documents} - {place.namespace}
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}}
        for each in elsewhere - {"argocd"}
    ]
    async with applied(place, [*namespaces, *documents], place.namespace) as unserved:
        assert set(unserved) <= NOT_PART_OF_KUBERNETES
        template = release.one("Deployment")["spec"]["template"]
        pod = {"metadata": {**template["metadata"], "name": RELEASE}, "spec": template["spec"]}
        # Whoever may make Deployments is only warned; the pod itself is what is admitted or not.
        admitted = await place.create(f"/api/v1/namespaces/{place.namespace}/pods", pod, dryRun="All")
        assert admitted.status == 201, admitted.message
        assert "Warning" not in admitted.headers, admitted.headers["Warning"]
