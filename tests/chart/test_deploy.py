"""The examples of `deploy/`: each builds, fits its schema, and agrees with the chart and with the others."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bot.settings.load import load_settings
from tests.support.crds import crd_schemas
from tests.support.helm import CHART, HelmError, kustomize, program, render
from tests.support.manifests import NEWEST, OLDEST, has_schema, is_custom, problems

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ITSELF = DEPLOY / "argocd" / "the-machine"
KUSTOMIZATIONS = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
MANIFESTS = sorted(
    path
    for path in DEPLOY.rglob("*.yaml")
    if path.name != "kustomization.yaml" and "apiVersion" in path.read_text()
)
VALUES = [
    ITSELF / "values.yaml",
    *(DEPLOY / "argocd" / "applicationset" / f"{name}.yaml" for name in ("dev", "prod")),
]


def name_of(path):
    return str(path.relative_to(DEPLOY))


def read(path):
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


@pytest.mark.parametrize("path", MANIFESTS, ids=name_of)
def test_every_manifest_fits_its_schema(path):
    for document in read(path):
        if is_custom(document) and crd_schemas() is not None:
            assert has_schema(document), document["kind"]
        for version in (OLDEST, NEWEST):
            assert list(problems(document, version)) == []


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=name_of)
def test_every_kustomization_builds(folder):
    assert kustomize(folder) != ()


@pytest.mark.parametrize("path", VALUES, ids=name_of)
def test_every_file_of_values_renders_to_what_the_bot_takes(path, tmp_path):
    rendered = render(files=[path])
    for name in set(re.findall(r"/run/secrets/the-machine/(\S+)", rendered.config)):
        (tmp_path / name).write_text("x")
    file = tmp_path / "machine.yaml"
    file.write_text(rendered.config.replace("/run/secrets/the-machine", str(tmp_path)))
    load_settings(file, {})


def application():
    [document] = read(ITSELF / "app.yaml")
    return document


def test_the_application_has_the_shape_of_its_platform():
    app = application()
    assert app["metadata"]["namespace"] == "argocd"
    assert app["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]
    chart, values, resources = app["spec"]["sources"]
    assert "://" not in chart["repoURL"]
    assert chart["helm"]["valueFiles"] == [f"$values/{(ITSELF / 'values.yaml').relative_to(ROOT)}"]
    assert values["ref"] == "values"
    assert ROOT / resources["path"] == ITSELF / "resources"
    policy = app["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": False, "selfHeal": True}
    options = {"ServerSideApply=true", "ApplyOutOfSyncOnly=true", "RespectIgnoreDifferences=true"}
    assert options | {"SkipDryRunOnMissingResource=true"} <= set(policy["syncOptions"])
    assert app["spec"]["ignoreDifferences"][0]["kind"] == "ExternalSecret"


def test_the_version_is_the_charts():
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    assert application()["spec"]["sources"][0]["targetRevision"] == version
    [applications] = read(DEPLOY / "argocd" / "applicationset" / "applicationset.yaml")
    [generator] = applications["spec"]["generators"]
    assert {each["version"] for each in generator["list"]["elements"]} == {version}
    for element in generator["list"]["elements"]:
        assert (DEPLOY / "argocd" / "applicationset" / f"{element['environment']}.yaml").exists()


def test_the_bot_knows_its_own_application():
    rendered = render(files=[ITSELF / "values.yaml"])
    app = application()["metadata"]
    config = yaml.safe_load(rendered.config)
    assert config["kubernetes"]["argocd"]["itself"] == f"{app['namespace']}/{app['name']}"


@pytest.mark.parametrize("name", ["external-secrets.yaml", "external-secrets-vault.yaml"])
def test_the_secret_has_what_the_pod_reads(name):
    [secret] = read(ITSELF / "resources" / name)
    rendered = render(files=[ITSELF / "values.yaml"])
    [volume] = [each for each in rendered.pod["volumes"] if each["name"] == "secrets"]
    assert secret["spec"]["target"]["name"] == volume["secret"]["secretName"]
    wanted = set(re.findall(r"/run/secrets/the-machine/(\S+)", rendered.config))
    assert {each["secretKey"] for each in secret["spec"]["data"]} == wanted


def test_waves_bring_the_namespace_then_the_secret_then_the_bot():
    waves = {
        each["kind"]: int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for each in kustomize(ITSELF / "resources")
    }
    assert waves == {"Namespace": -2, "ExternalSecret": -1}


def test_the_namespace_enforces_what_the_pod_keeps():
    [namespace] = read(ITSELF / "resources" / "namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_kargo_writes_the_tag_where_the_chart_reads_it():
    [stage] = read(DEPLOY / "kargo" / "stage.yaml")
    template = stage["spec"]["promotionTemplate"]["spec"]
    variables = {each["name"]: each["value"] for each in template["vars"]}
    assert ROOT / variables["values"] == ITSELF / "values.yaml"
    assert variables["image"] == yaml.safe_load((ITSELF / "values.yaml").read_text())["image"]["repository"]
    assert [step["uses"] for step in template["steps"]] == [
        "git-clone",
        "yaml-update",
        "git-commit",
        "git-push",
    ]
    [update] = template["steps"][1]["config"]["updates"]
    promoted = yaml.safe_load((ITSELF / "values.yaml").read_text())
    section, _, key = update["key"].partition(".")
    promoted[section][key] = "0123abc"
    assert render(promoted).container["image"].endswith(":0123abc")


def test_kargo_takes_the_tags_that_the_workflow_makes():
    [warehouse] = read(DEPLOY / "kargo" / "warehouse.yaml")
    [image] = [each["image"] for each in warehouse["spec"]["subscriptions"]]
    [pattern] = image["allowTagsRegexes"]
    assert re.match(pattern, "9c08c7d63215dd1a37a3ef2f9da2ba2fea08ff15")
    assert not re.match(pattern, "latest")


def test_the_pipeline_is_one_project():
    documents = kustomize(DEPLOY / "kargo")
    [project] = [each["metadata"]["name"] for each in documents if each["kind"] == "Project"]
    assert {each["metadata"].get("namespace", project) for each in documents} == {project}


def test_the_parent_brings_the_bot_in_a_later_wave():
    [app] = kustomize(DEPLOY / "argocd" / "app-of-apps" / "apps")
    assert app["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "5"
    [parent] = read(DEPLOY / "argocd" / "app-of-apps" / "app.yaml")
    assert ROOT / parent["spec"]["source"]["path"] == DEPLOY / "argocd" / "app-of-apps" / "apps"


def test_a_tag_that_is_only_digits_must_be_in_quotation_marks():
    promoted = yaml.safe_load((ITSELF / "values.yaml").read_text())
    promoted["image"]["tag"] = 1234567
    with pytest.raises(HelmError, match="tag"):
        render(promoted)


def test_values_for_app_template_say_what_the_chart_says(tmp_path):
    theirs = yaml.safe_load((DEPLOY / "app-template" / "values.yaml").read_text())
    container = theirs["controllers"]["main"]["containers"]["main"]
    ours = render(files=[CHART / "ci" / "minimal-values.yaml"])
    assert container["securityContext"] == ours.container["securityContext"]
    assert theirs["defaultPodOptions"]["securityContext"] == ours.pod["securityContext"]
    assert container["resources"] == ours.container["resources"]
    assert container["probes"]["readiness"]["spec"]["httpGet"]["path"] == "/readyz"
    mounts = {mount["path"] for volume in theirs["persistence"].values() for mount in volume["globalMounts"]}
    assert mounts == {each["mountPath"] for each in ours.container["volumeMounts"]}
    text = theirs["configMaps"]["config"]["data"]["machine.yaml"]
    for name in set(re.findall(r"/run/secrets/the-machine/([a-z-]+)", text)):
        (tmp_path / name).write_text("x")
    file = tmp_path / "machine.yaml"
    file.write_text(text.replace("/run/secrets/the-machine", str(tmp_path)))
    load_settings(file, {})


_OFFLINE = re.compile(
    r"^ +((?:helm template|kubectl create|kubectl -n \S+ create|kubectl kustomize) .*)", re.MULTILINE
)


def commands_shown():
    """What `deploy/README.md` has people type that needs no cluster."""
    text = (DEPLOY / "README.md").read_text().replace("\\\n", " ")
    for line in _OFFLINE.findall(text):
        yield re.sub(r" +", " ", line)


@pytest.mark.parametrize("line", [*commands_shown()], ids=lambda line: " ".join(line.split()[:6]))
def test_what_the_page_has_people_type_works(line, tmp_path):
    tools = f"{program('helm').parent}:{program('kubectl').parent}:{os.environ['PATH']}"
    dry = " --dry-run=client --output=name" if " create " in line else ""
    done = subprocess.run(
        ["bash", "-euc", line + dry],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": tools, "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr == ""


def test_the_page_has_people_type_everything():
    assert len([*commands_shown()]) == 5
