"""Each file of values in `chart/ci`, through the real Helm, Kubernetes' schemas and `machine check-config`."""

import os
import re
import shutil

import pytest

from bot.settings.load import load_settings
from tests.chart.values import EXAMPLES
from tests.support.crds import crd_schemas
from tests.support.helm import CHART, helm, render
from tests.support.manifests import NEWEST, OLDEST, has_schema, is_custom, problems

FETCHED = {"Cluster", "HTTPRoute", "PrometheusRule", "ServiceMonitor"}
"""Kinds whose schemas `.ci/run` takes from the source of their operators, where there is a Go to fetch it."""

pytestmark = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def test_helm_finds_nothing_to_complain_about(example):
    helm("lint", "--strict", CHART, "--values", example)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_fits_its_schema(example, version):
    rendered = render(files=[example])
    assert [problem for each in rendered.documents for problem in problems(each, version)] == []


def test_no_object_is_there_twice(example):
    names = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in render(files=[example]).documents
    ]
    assert sorted(map(str, names)) == sorted(map(str, set(names)))


def test_the_configuration_is_one_that_the_bot_takes(example, tmp_path):
    rendered = render(files=[example])
    for name in set(re.findall(r"/run/secrets/the-machine/(\S+)", rendered.config)):
        is_database = name == "database-url"
        (tmp_path / name).write_text("postgresql+asyncpg://machine:x@db:5432/machine" if is_database else "x")
    path = tmp_path / "machine.yaml"
    path.write_text(rendered.config.replace("/run/secrets/the-machine", str(tmp_path)))
    loaded = load_settings(path, environment(rendered))
    is_sqlite = loaded.settings.database.url.get_secret_value().startswith("sqlite")
    assert is_sqlite == (rendered.one("Deployment")["spec"]["strategy"]["type"] == "Recreate")


def environment(rendered):
    """The variables of the container, as a pod would see them."""
    secret = {"host": "db", "port": "5432", "dbname": "machine", "username": "machine", "password": "x"}
    variables = {}
    for each in rendered.container["env"]:
        key = each.get("valueFrom", {}).get("secretKeyRef", {}).get("key")
        value = secret[key] if key else each.get("value", "")
        variables[each["name"]] = re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], value)
    return variables


def test_every_pod_fits_the_restricted_standard(example):
    pod = render(files=[example]).pod
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    ours = pod["containers"][0]["securityContext"]
    assert ours == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_selectors_find_the_pods(example):
    rendered = render(files=[example])
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    for kind, path in (("Service", ("selector",)), ("PodDisruptionBudget", ("selector", "matchLabels"))):
        for found in rendered.all(kind):
            selector = found["spec"]
            for key in path:
                selector = selector[key]
            assert selector.items() <= labels.items()
    for policy in rendered.all("NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_what_is_mounted_is_there(example):
    rendered = render(files=[example])
    volumes = {volume["name"]: volume for volume in rendered.pod["volumes"]}
    for mount in rendered.container["volumeMounts"]:
        assert mount["name"] in volumes
        assert "subPath" not in mount
    claims = {each["metadata"]["name"] for each in rendered.all("PersistentVolumeClaim")}
    named = {
        v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "persistentVolumeClaim" in v
    }
    assert claims == named


def test_every_custom_resource_was_checked_against_its_own_schema(example):
    if crd_schemas() is None:
        pytest.skip("MACHINE_TEST_CRDS names no folder")
    custom = [each for each in render(files=[example]).documents if is_custom(each)]
    unchecked = {each["kind"] for each in custom if not has_schema(each)}
    must_be_there = os.environ.get("CI") == "true" and shutil.which("go")
    assert unchecked <= (set() if must_be_there else FETCHED)
