"""Rules and dashboards: Prometheus's own word on the rules, and every name in both is one of ours."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bot.telemetry.metrics import REGISTRY
from tests.chart.dashboards import ALL, drawn
from tests.chart.values import MINIMAL, merged
from tests.support.helm import CHART, render

ROOT = CHART.parent
RULES = CHART / "rules" / "the-machine.yaml"
CASES = Path(__file__).parent / "rules.yaml"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
OF_THE_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
"""What prometheus_client itself brings."""


def known():
    """Each name that `/metrics` can show, with its labels."""
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        f"{metric._name}{suffix}": set(metric._labelnames) | ({"le"} if suffix == "_bucket" else set())
        for metric in REGISTRY._collector_to_names
        for suffix in suffixes[metric._type]
    }


def used(expression):
    """Each name in an expression with the labels that select it."""
    for name, selector in re.findall(
        r"\b((?:the_machine|minecraft_status|process)_\w+)(?:\{([^}]*)\})?", expression
    ):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions(path):
    for panel in json.loads(path.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def check(name, expression):
    metrics = known()
    for metric, labels in used(expression):
        if metric in OF_THE_PROCESS:
            continue
        assert metric in metrics, (name, metric)
        assert labels <= metrics[metric] | {"namespace", "job"}, (name, metric, labels)


def promtool(*arguments, folder):
    found = shutil.which("promtool")
    if found is None:
        reason = "there is no promtool: it comes with Prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run(
        [found, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_prometheus_takes_the_rules_and_they_fire_when_they_must(tmp_path):
    shutil.copy(RULES, tmp_path)
    shutil.copy(CASES, tmp_path)
    done = promtool("check", "rules", RULES.name, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = promtool("test", "rules", CASES.name, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not():
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_every_alert_has_a_runbook_and_a_severity():
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), flags=re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]
    assert {rule["labels"]["severity"] for rule in rules()} <= {"critical", "warning"}


def test_every_name_in_the_rules_is_one_of_ours():
    for rule in rules():
        check(rule["alert"], rule["expr"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_name_on_a_dashboard_is_one_of_ours(path):
    found = list(expressions(path))
    assert found
    for title, expression in found:
        check(title, expression)


@pytest.mark.parametrize("dashboard", ALL, ids=lambda each: each.name)
def test_a_dashboard_is_as_it_is_drawn(dashboard):
    path = CHART / "dashboards" / f"{dashboard.name}.json"
    assert path.read_text() == drawn(dashboard), "run `make schema`"
    assert {each.stem for each in DASHBOARDS} == {each.name for each in ALL}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_fill_the_width(path):
    panels = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    tiles = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(tiles)) == len(tiles)
    assert all(x < 24 for x, _ in tiles)


def test_every_expression_of_a_dashboard_is_promql(tmp_path):
    found = [expression for path in DASHBOARDS for _, expression in expressions(path)]
    rules = [
        {"record": f"panel:{index}", "expr": expression.replace("$__rate_interval", "5m")}
        for index, expression in enumerate(found)
    ]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", "panels.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_brings_them_unchanged():
    values = {
        "dashboards": {"enabled": True},
        "prometheusRule": {"enabled": True, "runbookUrl": "https://x.org/r#", "minecraftServers": True},
        "config": {"minecraft": {}},
    }
    rendered = render(merged(MINIMAL, values))
    for path in DASHBOARDS:
        found = rendered.one("ConfigMap", f"the-machine-dashboard-{path.stem}")
        assert json.loads(found["data"][path.name]) == json.loads(path.read_text())
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert found["metadata"]["annotations"] == {"grafana_folder": "The Machine"}
    brought = [rule for group in rendered.one("PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    for rule, original in zip(brought, rules(), strict=True):
        assert rule["annotations"].pop("runbook_url") == f"https://x.org/r#{original['alert'].lower()}"
        assert rule == original


def test_without_an_address_of_runbooks_none_is_named():
    rendered = render(merged(MINIMAL, {"prometheusRule": {"enabled": True}}))
    assert "runbook_url" not in yaml.safe_dump(rendered.one("PrometheusRule"))


@pytest.mark.parametrize(
    ("values", "extra"),
    [
        ({}, set()),
        ({"config": {"minecraft": {}}}, {"TheMachineMinecraftUnasked"}),
        (
            {"config": {"minecraft": {}}, "prometheusRule": {"minecraftServers": True}},
            {"TheMachineMinecraftUnasked", "MinecraftServerDown"},
        ),
    ],
)
def test_rules_about_minecraft_come_where_they_are_wanted(values, extra):
    found = render(merged(MINIMAL, {"prometheusRule": {"enabled": True}}, values)).one("PrometheusRule")
    names = {rule["alert"] for group in found["spec"]["groups"] for rule in group["rules"]}
    always = {rule["alert"] for rule in rules()} - {"TheMachineMinecraftUnasked", "MinecraftServerDown"}
    assert names == always | extra
