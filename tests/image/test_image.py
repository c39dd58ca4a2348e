"""The parts of the image, proven without an engine: what the Dockerfile installs, run as a cluster would run it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
BUILD, FINAL = re.split(r"^FROM .*\n", DOCKERFILE, flags=re.MULTILINE)[2:]
UV = Path(sys.executable).parent / "uv"
SOMEBODY = 12345
LARGEST_MB = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.xdist_group("image")]


def instructions(stage, name):
    """The arguments of each such instruction, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", stage)
    return [line.removeprefix(name + " ") for line in joined.splitlines() if line.startswith(name + " ")]


def after_uv():
    """What the first stage runs once it has uv."""
    installs, *others = instructions(BUILD, "RUN")
    assert "pip install" in installs
    return others


def as_somebody():
    """For subprocess: a user who owns nothing here."""
    return {"user": SOMEBODY, "group": SOMEBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def reachable_python():
    """A Python that somebody may run: root's own home is closed to others."""
    for candidate in (sys._base_executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        tried = [candidate, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
        try:
            if subprocess.run(tried, check=False, cwd="/", env={}, **as_somebody()).returncode == 0:
                return candidate
        except OSError:
            continue
    return pytest.skip("no Python 3.11 that another user may run")


def build_context(folder):
    """Copy what .dockerignore lets through."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            if source.is_dir():
                shutil.copytree(source, folder / line[1:], ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder)


@pytest.fixture(scope="module")
def image():
    """The folder of the locked install, copied as the second stage copies it, and read-only."""
    python = reachable_python()
    # Not pytest's folder: that one is closed to other users.
    with tempfile.TemporaryDirectory(prefix="machine-image-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        source, target = folder / "src", folder / "opt"
        source.mkdir()
        build_context(source)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "python").symlink_to(python)
        (programs / "uv").symlink_to(UV)
        declared = dict(pair.split("=", 1) for line in instructions(BUILD, "ENV") for pair in line.split())
        environ = {
            "UV_SYSTEM_CERTS": "true" if Path("/etc/ssl/certs").is_dir() else "false",
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            **{name: value.replace("/opt/machine", str(target)) for name, value in declared.items()},
            "UV_PYTHON": python,
            "PATH": f"{programs}:{os.environ['PATH']}",
        }
        for command in after_uv():
            here = command.replace("/opt/machine", str(target))
            subprocess.run(["sh", "-ec", here], cwd=source, env=environ, check=True)
        shutil.rmtree(programs)
        shutil.rmtree(source)
        kept = folder / "kept"
        shutil.copytree(target, kept, symlinks=True)
        shutil.rmtree(target)
        kept.rename(target)
        subprocess.run(["chmod", "-R", "a-w", target], check=True)
        yield target
        subprocess.run(["chmod", "-R", "u+w", target], check=True)


@pytest.fixture
def data():
    """The one folder that may be written."""
    with tempfile.TemporaryDirectory(prefix="machine-data-") as made:
        folder = Path(made)
        if os.geteuid() == 0:
            os.chown(folder, SOMEBODY, SOMEBODY)
        yield folder


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def configuration(port):
    """A configuration whose Discord cannot be reached: the process must live all the same."""
    with tempfile.TemporaryDirectory(prefix="machine-config-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        file = folder / "machine.yaml"
        file.write_text(
            f"""\
discord:
  token: not-a-token
  guild: "1136200000000000000"
  channels: {{alerts: "1136200000000000001"}}
  api_url: http://127.0.0.1:9/api/v10
  gateway_url: ws://127.0.0.1:9/
web: {{host: 127.0.0.1, port: {port}, tokens: [let-me-in]}}
alerts:
  routes:
    - {{channel: alerts}}
"""
        )
        file.chmod(0o644)
        yield file


def environment(image, configuration):
    """What a container has: no HOME, the Dockerfile's variables."""
    declared = dict(pair.split("=", 1) for line in instructions(FINAL, "ENV") for pair in line.split())
    return {**declared, "PATH": f"{image}/bin:/usr/bin:/bin", "MACHINE_CONFIG": str(configuration)}


@contextmanager
def running(image, configuration, data):
    """The image's command, as an arbitrary user."""
    entry = json.loads(instructions(FINAL, "ENTRYPOINT")[0]) + json.loads(instructions(FINAL, "CMD")[0])
    with subprocess.Popen(
        [image / "bin" / entry[0], *entry[1:]],
        cwd=data,
        env=environment(image, configuration),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **as_somebody(),
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def answers(url, process, *, seconds=30):
    """The status of the first answer; waits for the server to listen."""
    until = time.monotonic() + seconds
    while True:
        assert process.poll() is None, f"it ended by itself: {process.stdout.read()}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def call(image, configuration, data, *arguments):
    return subprocess.run(
        [image / "bin/machine", *arguments],
        cwd=data,
        env=environment(image, configuration),
        capture_output=True,
        text=True,
        check=False,
        **as_somebody(),
    )


def test_the_install_is_small(image):
    du = subprocess.run(["du", "-sm", image], capture_output=True, text=True, check=True)
    size = int(du.stdout.split()[0])
    print(f"locked install: {size} MB")
    assert size < LARGEST_MB


def test_only_what_runs_is_installed(image):
    assert {path.name for path in (image / "bin").iterdir() if not path.is_symlink()} == {"machine"}
    assert {path.name for path in image.iterdir()} <= {"bin", "lib", "lib64", "pyvenv.cfg"}
    libraries = {path.name for folder in image.glob("lib/python*/site-packages") for path in folder.iterdir()}
    assert {"bot", "cogs", "discord"} <= libraries
    assert not libraries & {"simcord", "PIL", "matplotlib", "pytest", "tests", "uv", "pip", "setuptools"}
    assert not list(image.rglob("tests"))
    assert not list(image.rglob("uv_cache.json")), "it tells when the sources were copied"
    assert list(image.glob("lib/python*/site-packages/bot/database/migrations/script.py.mako"))


def test_all_code_is_compiled_and_nothing_compares_the_times_of_files(image):
    """Builders round and rewrite times; bytecode that compares them is then stale, at every start."""
    sources = list(image.glob("lib/python*/site-packages/**/*.py"))
    assert len(sources) > 1000
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == 1, f"{source} is compiled with {flags}"


def test_the_transport_to_kubernetes_is_whole(image, configuration):
    """Most of its package is not in the image. That it is there is seen only when a cluster is asked."""
    done = subprocess.run(
        [image / "bin/python", "-c", "import bot.kube.client"],
        cwd="/",
        env=environment(image, configuration),
        capture_output=True,
        text=True,
        check=False,
        **as_somebody(),
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_arbitrary_user_runs_the_commands(image, configuration, data):
    version = call(image, configuration, data, "version")
    assert (version.returncode, version.stderr) == (0, "")
    checked = call(image, configuration, data, "check-config")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert list(data.iterdir()) == []


def test_it_serves_and_ends_on_sigterm(image, configuration, data, port):
    with running(image, configuration, data) as process:
        assert answers(f"http://127.0.0.1:{port}/livez", process) == 200
        assert answers(f"http://127.0.0.1:{port}/readyz", process) == 200
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
        assert process.returncode == 0, said
        assert time.monotonic() - asked < 10
    assert "Traceback" not in said
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in data.iterdir()} == {"machine.db"}


def test_uv_is_installed_with_the_hashes_of_the_lock(tmp_path):
    (installs, *_) = instructions(BUILD, "RUN")
    asking, _, installing = installs.partition(" && ")
    wanted = tmp_path / "uv.txt"
    subprocess.run(["sh", "-ec", asking.replace("/tmp/uv.txt", str(wanted))], cwd=ROOT, check=True)
    (locked,) = (package for package in LOCK["package"] if package["name"] == "uv")
    requirement, *hashes = wanted.read_text().split()
    assert requirement == f"uv=={locked['version']}"
    assert {f"--hash={file['hash']}" for file in [*locked["wheels"], locked["sdist"]]} == set(hashes)
    assert "--require-hashes" in installing


def test_the_uv_of_the_lock_may_build_the_project_itself():
    """Otherwise the build fetches a backend that nobody has locked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    (requirement,) = project["requires"]
    least, below = re.fullmatch(r"uv_build>=([\d.]+),<([\d.]+)", requirement).groups()
    (locked,) = (package["version"] for package in LOCK["package"] if package["name"] == "uv")
    version, first, last = (tuple(map(int, each.split("."))) for each in (locked, least, below))
    assert first <= version < last


def test_the_graphs_come_with_the_argument_extra(tmp_path):
    """What `--build-arg EXTRA=graphs` changes."""
    build_context(tmp_path)
    environ = {**os.environ, "EXTRA": "graphs", "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    environ.pop("VIRTUAL_ENV", None)
    installing = [
        command.replace("uv sync", f"{UV} sync --dry-run") for command in after_uv() if "uv sync" in command
    ]
    assert len(installing) == 2
    done = subprocess.run(
        ["sh", "-ec", installing[0]], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "matplotlib==" in done.stderr
    assert "simcord" not in done.stderr
    assert all('${EXTRA:+--extra "$EXTRA"}' in command for command in installing)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_library_has_a_wheel_for_each_platform_of_the_image(machine):
    """A Raspberry Pi is a node too; the image has no compiler to make up for a wheel that is missing."""
    minor = int(re.search(r"python:3\.(\d+)\.", DOCKERFILE)[1])
    here = {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.0",
        "platform_machine": machine,
    }
    locked = {(package["name"], package["version"]): package for package in LOCK["package"]}
    exporting = [
        UV,
        "export",
        "--frozen",
        "--no-dev",
        "--extra",
        "graphs",
        "--no-emit-project",
        "--no-hashes",
    ]
    lines = subprocess.run(
        [*exporting, "--no-annotate", "--no-header"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(lines) > 40
    for line in lines:
        requirement, _, marker = line.partition(" ; ")
        if marker and not Marker(marker).evaluate({**here, "sys_platform": "linux"}):
            continue
        wheels = locked[tuple(requirement.split("=="))].get("wheels", [])
        tags = {tag for wheel in wheels for tag in parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]}
        assert any(fits(tag, machine=machine, minor=minor) for tag in tags), f"{requirement} on {machine}"


def fits(tag: Tag, *, machine: str, minor: int) -> bool:
    """Tell whether Debian's Python of that version on that machine may install such a wheel."""
    if tag.platform != "any" and not re.fullmatch(rf"manylinux.*_{machine}", tag.platform):
        return False
    if tag.abi == "abi3":
        return tag.interpreter.startswith("cp3") and int(tag.interpreter[3:]) <= minor
    return tag.interpreter in {"py3", f"cp3{minor}"}


def test_the_dockerfile_keeps_its_rules():
    pinned, *stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert stages == ["base", "base"], "one base, so that the interpreter is the same"
    assert re.search(r"/python:3\.\d+\.\d+-slim-\w+@sha256:", pinned), "a pinned base"
    assert BUILD.index("COPY uv.lock") < BUILD.index("uv sync") < BUILD.index("COPY bot")
    first, second = (line for line in instructions(BUILD, "RUN") if "uv sync" in line)
    assert "--locked --no-dev --no-editable --no-build --no-install-project" in first
    assert "--locked --no-dev --no-editable --offline" in second, "nothing that is not locked is fetched"
    assert instructions(FINAL, "USER") == ["65532:65532"]
    assert instructions(FINAL, "ENTRYPOINT") == ['["machine"]']
    assert not re.search(r"\b(uv|apt-get|gcc)\b|pip install", FINAL)
    (prepared,) = instructions(FINAL, "RUN")
    assert "compileall -q -f -j 0 --invalidation-mode unchecked-hash" in prepared
    assert "rm -rf ensurepip" in prepared
    assert "site-packages/*" in prepared, "the base has pip"
