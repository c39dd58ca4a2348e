"""What a release is made by and of: workflows, the base image, the packaged chart, the audit."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.audit import judged
from tests.support.helm import CHART, helm, program

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
CLEAN = {"name": "aiohttp", "version": "1", "vulns": []}
SKIPPED = {"name": "aiosqlite", "skip_reason": "not found"}
BAD = {"name": "jinja", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


def read(path):
    return yaml.load(path.read_text(), yaml.BaseLoader)


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_actionlint_finds_nothing_to_complain_about():
    beside = Path(sys.executable).parent / "actionlint"
    found = str(beside) if beside.exists() else shutil.which("actionlint")
    if found is None:
        reason = "there is no actionlint: go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
        if os.environ.get("CI") == "true" and shutil.which("go"):
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run([found, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for each in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_one_action_is_one_commit_everywhere():
    used = {use for path in WORKFLOWS for use in re.findall(r"uses: (.*)", path.read_text())}
    assert len({use.partition("@")[0] for use in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_right_that_it_does_not_need(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in workflow["on"]
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"
        # What others can name goes through variables, never into a script.
        assert "${{" not in step.get("run", "")
    for job in workflow["jobs"].values():
        assert "timeout-minutes" in job


def test_nothing_is_pushed_before_everything_was_tested():
    jobs = read(ROOT / ".github" / "workflows" / "release.yaml")["jobs"]
    assert (jobs["image"]["needs"], jobs["chart"]["needs"]) == ("check", "image")
    assert ".ci/run" in jobs["check"]["steps"][-1]["run"]


def test_what_is_pushed_is_signed_by_its_digest():
    text = (ROOT / ".github" / "workflows" / "release.yaml").read_text()
    assert text.count("cosign sign --yes") == 2
    assert "steps.build.outputs.digest" in text


def test_the_base_image_is_pinned_by_its_digest():
    dockerfile = (ROOT / "Dockerfile").read_text()
    pinned, *others = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    # Written out, and not by an ARG: Dependabot reads no variables.
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", pinned)
    assert others == ["base", "base"]


def test_a_released_chart_knows_its_image_its_version_and_its_runbooks(tmp_path):
    script = ROOT / ".github" / "package-chart.sh"
    arguments = [
        "1.2.3",
        "ghcr.io/someone/the-machine",
        "https://github.com/someone/the-machine",
        str(tmp_path),
    ]
    environ = {**os.environ, "HELM": str(program("helm")), "HOME": str(tmp_path)}
    subprocess.run(["bash", script, *arguments], check=True, capture_output=True, env=environ)
    archive = tmp_path / "the-machine-1.2.3.tgz"
    with tarfile.open(archive) as opened:
        assert not [name for name in opened.getnames() if "/ci/" in name]
    values = yaml.safe_load((CHART / "ci" / "minimal-values.yaml").read_text())
    del values["image"]
    values["prometheusRule"] = {"enabled": True}
    text = helm("template", "the-machine", archive, values=values)
    assert "image: ghcr.io/someone/the-machine:1.2.3" in text
    assert "https://github.com/someone/the-machine/blob/v1.2.3/docs/runbooks.md#themachinedown" in text
    assert 'repository: ""' in (CHART / "values.yaml").read_text()


def test_the_version_of_the_chart_is_the_projects():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert (chart["version"], chart["appVersion"]) == (project, project)


@pytest.mark.parametrize(
    ("report", "required", "status"),
    [
        (None, False, 0),
        (None, True, 1),
        ({"dependencies": [CLEAN]}, True, 0),
        ({"dependencies": [CLEAN, SKIPPED]}, False, 0),
        ({"dependencies": [CLEAN, SKIPPED]}, True, 1),
        ({"dependencies": [CLEAN, BAD]}, False, 1),
    ],
)
def test_an_audit_ends_as_it_should(report, required, status):
    lines, ended = judged(report, required=required)
    assert ended == status
    assert lines
    if report and BAD in report["dependencies"]:
        assert lines[0] == "jinja 2: CVE-1, repaired in 3"
