"""The project itself: what must not be imported, who may import whom, what the documentation says."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
CODE = sorted(path for room in ("bot", "cogs") for path in (ROOT / room).rglob("*.py"))

HEAVY = {
    "IPython": "an editor's",
    "PIL": "the demo's",
    "hypothesis": "the tests'",
    "kubernetes.aio.client.api.apps_v1_api": "30 MB for a few requests",
    "kubernetes.aio.client.api.core_v1_api": "100 MB for a few requests",
    "kubernetes.client": "the synchronous half",
    "matplotlib": "only where a graph is drawn",
    "mcstatus": "only for servers of Minecraft that need it",
    "mypy": "the project's",
    "numpy": "only where a graph is drawn",
    "playwright": "the tests'",
    "pytest": "the tests'",
    "setuptools": "an installer's",
    "simcord": "the demo's",
    "uvloop": "brings nothing once real work is done",
}
"""Modules that a running bot does without, and why."""


def imported_by(statement):
    """The modules that a fresh Python has after it."""
    asked = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_the_running_bot_imports_nothing_heavy():
    there = imported_by("import bot.cli.run")
    assert "bot.app" in there
    assert {name: why for name, why in HEAVY.items() if name in there} == {}


def test_small_commands_import_little():
    there = imported_by("from bot.cli.main import main\nmain(['version'])")
    assert not there & {"aiohttp", "discord", "pydantic", "sqlalchemy", "alembic"}


def test_a_check_of_the_configuration_needs_no_network_library():
    assert not imported_by("import bot.cli.check_config") & {"aiohttp", "discord", "sqlalchemy"}


@pytest.mark.parametrize(
    "file",
    [path for path in CODE if path.name == "__init__.py"],
    ids=lambda path: str(path.relative_to(ROOT).parent),
)
def test_a_package_says_what_it_is_for_and_imports_nothing(file):
    (statement,) = ast.parse(file.read_text()).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value.value, str)
    assert statement.value.value.rstrip().endswith(".")


def test_whatever_goes_wrong_is_caught_in_three_places_only():
    catching = {
        str(path.relative_to(ROOT))
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id == "Exception"
    }
    assert catching <= {"bot/chat/replies.py", "bot/core/loops.py", "bot/web/server.py"}


# The contracts of .importlinter: each is shown to bite.

CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(ROOT / ".importlinter")

VIOLATIONS = {
    "floors": ("bot/core/violation.py", "import bot.alerts.model"),
    "cycles": (
        "bot/alerts/violation.py",
        "import bot.alerts.inbox.violation",
        "bot/alerts/inbox/violation.py",
        "import bot.alerts.violation",
    ),
    "core": ("bot/core/violation.py", "import structlog"),
    "pure": ("bot/alerts/card.py", "import bot.core.loops"),
    "decisions": ("bot/alerts/model/incident.py", "import discord"),
    "drawings": ("bot/alerts/card.py", "import bot.alerts.store"),
    "discord": ("bot/alerts/service.py", "import discord"),
    "database": ("bot/alerts/service.py", "import sqlalchemy"),
    "migrations": ("bot/alerts/store/tables.py", "import alembic"),
    "drivers": ("bot/alerts/service.py", "import asyncpg"),
    "traces": ("bot/app.py", "import opentelemetry"),
    "calendar": ("bot/alerts/service.py", "import apscheduler"),
    "simulator": ("bot/chat/client.py", "import simcord"),
    "yaml": ("bot/alerts/service.py", "import yaml"),
    "configuration": ("bot/housekeeping.py", "import bot.settings.tree"),
    "kubernetes": ("bot/app.py", "import kubernetes"),
    "cluster": ("bot/app.py", "import bot.demo.cluster"),
    "minecraft": ("bot/playground.py", "import mcstatus"),
}


def broken_contracts(folder, contract):
    done = subprocess.run(
        [BIN / "lint-imports", "--no-logo", "--no-cache", "--contract", contract],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    name = CONTRACTS[f"importlinter:contract:{contract}"]["name"]
    assert name in done.stdout, done.stdout + done.stderr
    return f"{name} BROKEN" in done.stdout


def test_every_contract_has_a_violation_to_show_it():
    contracts = {section.split(":")[2] for section in CONTRACTS.sections() if ":contract:" in section}
    assert contracts == set(VIOLATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_contract_bites(contract, tmp_path):
    for package in ("bot", "cogs"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    for name, statement in zip(VIOLATIONS[contract][::2], VIOLATIONS[contract][1::2], strict=True):
        with (tmp_path / name).open("a") as file:
            file.write(f"\n{statement}\n")
    assert broken_contracts(tmp_path, contract)


def test_every_room_has_its_floor():
    layers = re.findall(r"[\w.]+", CONTRACTS["importlinter:contract:floors"]["layers"])
    rooms = {
        f"bot.{path.stem}" for path in (ROOT / "bot").iterdir() if path.suffix == ".py" or path.is_dir()
    } - {"bot.__init__", "bot.__pycache__"}
    assert rooms | {"cogs"} == set(layers)


def test_the_core_is_forbidden_every_library_that_we_depend_on():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w.-]+", dependency)[0].lower() for dependency in dependencies}
    modules = {
        "discord.py": "discord",
        "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
        "opentelemetry-sdk": "opentelemetry",
        "prometheus-client": "prometheus_client",
        "pyyaml": "yaml",
        "tzdata": None,
    }
    forbidden = set(CONTRACTS["importlinter:contract:core"]["forbidden_modules"].split())
    assert {modules.get(name, name) for name in names} - {None} <= forbidden
