"""The documentation cannot drift: what it names is there, and what it shows works."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bot.cli.registry import COMMANDS
from bot.examination.online import NEEDED
from bot.settings.load import load_settings
from bot.settings.tree import Settings
from bot.telemetry.metrics import REGISTRY
from cogs.alerts import AlertsCog
from cogs.argocd import ArgoCdCog
from cogs.machine import MachineCog
from cogs.minecraft import MinecraftCog
from tests.support.crds import crd_schemas
from tests.support.helm import render
from tests.support.manifests import NEWEST, has_schema, is_custom, problems

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "deploy").rglob("*.md"),
    ROOT / "chart" / "README.md",
]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
SLASH = {"alerts": AlertsCog, "argocd": ArgoCdCog, "machine": MachineCog, "minecraft": MinecraftCog}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchor(heading):
    """How GitHub names a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def snippets(page, language):
    """The fenced blocks of a language, without the indentation of a list around them."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


YAML = [(page, block) for page in PAGES for block in snippets(page, "yaml")]
CONFIGURATIONS = [
    (page, block) for page, block in YAML if set(yaml.safe_load(block)) <= set(Settings.model_fields)
]
ALERTMANAGERS = [(page, block) for page, block in YAML if "receivers" in yaml.safe_load(block)]
OPERATORS = [(page, block) for page, block in YAML if "alertmanager" in yaml.safe_load(block)]
MANIFESTS = [(page, block) for page, block in YAML if "kind" in yaml.safe_load(block)]
VALUES = [(page, block) for page, block in YAML if "image" in yaml.safe_load(block)]
GRAFANAS = [(page, block) for page, block in YAML if "contactPoints" in yaml.safe_load(block)]
REST = {
    "discord": {"token": "a-token", "guild": "1", "channels": {"alerts": "2"}},
    "web": {"tokens": ["a-token"]},
    "alertmanagers": [{"name": "main", "urls": ["http://alertmanager:9093"]}],
    "alerts": {"routes": [{"channel": "alerts"}]},
    "access": {"grants": [{"users": ["3"], "may": ["alerts:*"]}]},
}
"""What a snippet that shows a part of the configuration is read with."""


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        if fragment:
            assert fragment in map(anchor, re.findall(r"^#+ (.*)", there.read_text(), re.MULTILINE)), target


def test_every_yaml_snippet_is_checked():
    kinds = (CONFIGURATIONS, ALERTMANAGERS, GRAFANAS, OPERATORS, MANIFESTS, VALUES)
    assert sum(map(len, kinds)) == len(YAML)
    assert all(kinds)


@pytest.mark.parametrize(("page", "block"), CONFIGURATIONS, ids=lambda value: getattr(value, "name", ""))
def test_a_configuration_that_is_shown_is_valid(page, block, tmp_path):
    for secret in re.findall(r"_file: ([\w./-]+)", block):
        here = tmp_path / Path(secret).name
        here.write_text("a-secret\n")
        block = block.replace(secret, here.name)
    rest = {name: section for name, section in REST.items() if name not in yaml.safe_load(block)}
    (tmp_path / "machine.yaml").write_text(block + (yaml.safe_dump(rest) if rest else ""))
    assert load_settings(tmp_path / "machine.yaml", {}).warnings == ()


@pytest.mark.parametrize(("page", "block"), GRAFANAS, ids=lambda value: getattr(value, "name", ""))
def test_the_contact_point_that_is_shown_posts_to_us(page, block):
    (receiver,) = yaml.safe_load(block)["contactPoints"][0]["receivers"]
    assert receiver["type"] == "webhook"
    assert "/webhooks/grafana/" in receiver["settings"]["url"]


@pytest.mark.parametrize(("page", "block"), MANIFESTS, ids=lambda value: getattr(value, "name", ""))
def test_a_manifest_that_is_shown_fits_its_schema(page, block):
    manifest = yaml.safe_load(block)
    if is_custom(manifest) and not has_schema(manifest):
        if os.environ.get("CI") and crd_schemas() is not None and shutil.which("go"):
            pytest.fail(f"there is no schema of {manifest['kind']}")
        pytest.skip("MACHINE_TEST_CRDS names no folder with its schema")
    assert list(problems(manifest, NEWEST)) == []


def test_the_pod_that_moves_a_database_is_told_of_it_as_the_chart_tells_the_bot():
    (moving,) = [each for _, block in MANIFESTS for each in [yaml.safe_load(block)] if each["kind"] == "Pod"]
    (container,) = moving["spec"]["containers"]
    file = ROOT / "chart/ci/minimal-values.yaml"
    bot = render({"postgresql": {"cluster": {"enabled": True}}}, files=[file])
    assert [each for each in bot.container["env"] if each["name"].startswith("PG")] == sorted(
        container["env"], key=lambda each: each["name"]
    )
    assert container["securityContext"] == bot.container["securityContext"]
    assert moving["spec"]["securityContext"].items() <= bot.pod["securityContext"].items()
    before = render(files=[file])
    (data,) = [each for each in before.pod["volumes"] if each["name"] == "data"]
    assert moving["spec"]["volumes"] == [data]
    assert yaml.safe_load(before.config)["database"]["url"] in container["args"]


@pytest.mark.parametrize(("page", "block"), VALUES, ids=lambda value: getattr(value, "name", ""))
def test_values_that_are_shown_render(page, block):
    assert render(yaml.safe_load(block)).one("Deployment")


def receiving(block):
    """An Alertmanager's configuration, which a block is or holds."""
    read = yaml.safe_load(block)
    return read["alertmanager"]["config"] if "alertmanager" in read else read


@pytest.mark.parametrize(
    ("page", "block"), [*ALERTMANAGERS, *OPERATORS], ids=lambda value: getattr(value, "name", "")
)
def test_the_receiver_that_is_shown_is_alertmanagers(page, block, tmp_path):
    config = receiving(block)
    [receiver] = next(each for each in config["receivers"] if "webhook_configs" in each)["webhook_configs"]
    assert receiver["url"].endswith("/webhooks/alertmanager")
    assert (receiver["send_resolved"], receiver["max_alerts"], receiver["timeout"]) == (True, 0, "10s")
    amtool = shutil.which("amtool")
    if amtool is None and os.environ.get("CI"):
        pytest.fail("amtool is not installed: CI must have it")
    if amtool is None:
        pytest.skip("amtool is not installed (Debian: prometheus-alertmanager)")
    # Debian's Alertmanager is older than the key `timeout`, as the comment beside it says.
    del receiver["timeout"]
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
    checked = [amtool, "check-config", tmp_path / "alertmanager.yml"]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_invitation_asks_for_what_the_bot_needs_and_no_more():
    (url,) = re.findall(r"https://discord\.com/oauth2/authorize\?\S+", README)
    assert f"&permissions={sum(NEEDED.values())}" in url
    assert "scope=bot+applications.commands&" in url
    assert "Send Messages, Embed Links, Attach Files and Read Message History" in README
    assert set(NEEDED) == {
        "VIEW_CHANNEL", "SEND_MESSAGES", "EMBED_LINKS", "ATTACH_FILES", "READ_MESSAGE_HISTORY",
    }  # fmt: skip


def test_the_table_of_metrics_is_the_registrys():
    written = re.findall(r"^\| `the_machine_.*", OPERATIONS, re.MULTILINE)
    registered = []
    for metric in REGISTRY._collector_to_names:
        if not metric._name.startswith("the_machine_"):
            continue
        name = metric._name + ("_total" if metric._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        registered.append(f"| `{name}` | {labels} | {metric._documentation} |")
    assert sorted(written) == sorted(registered)


@each_page
def test_commands_that_are_named_exist(page):
    text = page.read_text()
    lines = [line.strip() for block in snippets(page, "sh") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))
    targets = re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)
    for line in lines:
        match re.split(r"\s+", line.removeprefix(".venv/bin/")):
            case ["machine", command, *_]:
                assert command in {known.name for known in COMMANDS}
            case ["make", target, *_]:
                assert target in targets
            case [group, command, *_] if re.fullmatch(r"/[a-z]+", group):
                assert command in {known.name for known in SLASH[group[1:]].__cog_app_commands__}


WORDS_OF_OTHERS = {
    "max_alerts",
    "max_connections",
    "parentbased_traceidratio",
    "pg_dump",
    "pg_stat_activity",
    "repeat_interval",
}


def test_log_events_and_keys_that_are_named_exist():
    sources = "\n".join(path.read_text() for path in (ROOT / "bot").rglob("*.py"))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", OPERATIONS)) - WORDS_OF_OTHERS
    for name in named - set(REGISTRY._names_to_collectors):
        assert f'"{name}"' in sources or f"{name}:" in sources, name


def test_answers_of_readiness_that_are_explained_are_given():
    section = OPERATIONS.split("## /livez and /readyz")[1].split("\n## ")[0]
    sources = "\n".join(path.read_text() for path in (ROOT / "bot").rglob("*.py"))
    for check, answer in re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section, re.MULTILINE):
        assert f'"{check}":' in sources
        assert f'"{answer}"' in sources or answer == "no answer within 1 s"


def test_every_target_of_make_says_what_it_does():
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (phony,) = re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)
    assert re.findall(r"^  make (\w+) +\S", listed, re.MULTILINE) == phony.split()


def test_the_glossary_is_in_order_and_gives_each_word_one_meaning():
    words = re.findall(r"^\| \*([^*]+)\* \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(set(words))


@pytest.mark.parametrize("page", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda page: page.name)
def test_a_decision_fits_its_page(page):
    text = page.read_text()
    number = int(page.name[:4])
    assert text.startswith(f"# {number}. ")
    parts = re.findall(r"^\*\*(\w[\w ]*?)\.?\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Refused", "Held by"]
    assert len(text.splitlines()) <= 40
