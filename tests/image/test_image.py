"""The parts of the image, proven without an engine: what the Dockerfile installs, run as a cluster would run it."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
BUILD, FINAL = re.split(r"^FROM .*\n", DOCKERFILE, flags=re.MULTILINE)[1:]
SOMEBODY = 12345
LARGEST_MB = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.xdist_group("image")]


def instructions(stage, name):
    """The arguments of each such instruction, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", stage)
    return [line.removeprefix(name + " ") for line in joined.splitlines() if line.startswith(name + " ")]


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
        declared = dict(pair.split("=", 1) for line in instructions(BUILD, "ENV") for pair in line.split())
        environ = {
            "UV_SYSTEM_CERTS": "true" if Path("/etc/ssl/certs").is_dir() else "false",
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            **{name: value.replace("/opt/machine", str(target)) for name, value in declared.items()},
            "UV_PYTHON": python,
        }
        uv = Path(sys.executable).parent / "uv"
        for command in instructions(BUILD, "RUN"):
            if command.startswith("uv "):
                subprocess.run([uv, *command.split()[1:]], cwd=source, env=environ, check=True)
            elif command.startswith("find "):
                here = command.replace("/opt/machine", str(target))
                subprocess.run(shlex.split(here), check=True)
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    there = {path.name for path in (image / "bin").iterdir()}
    assert "machine" in there
    assert not there & {"uv", "pip", "pytest", "ruff", "mypy", "playwright", "simcord"}
    libraries = {path.name for folder in image.glob("lib/python*/site-packages") for path in folder.iterdir()}
    assert {"bot", "cogs", "discord"} <= libraries
    assert not libraries & {"simcord", "PIL", "pytest", "tests"}


def test_the_code_is_compiled(image):
    (package,) = image.glob("lib/python*/site-packages/bot")
    sources = [path for path in package.rglob("*.py") if "versions" not in path.parts]
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in sources)


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


def test_the_dockerfile_keeps_its_rules():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1, "one base, so that the interpreter is the same"
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-", DOCKERFILE, re.MULTILINE), "a pinned base"
    assert BUILD.index("COPY uv.lock") < BUILD.index("uv sync") < BUILD.index("COPY bot")
    assert all(
        "--locked --no-dev --no-editable" in line for line in instructions(BUILD, "RUN") if "uv sync" in line
    )
    assert instructions(FINAL, "USER") == ["65532:65532"]
    assert instructions(FINAL, "ENTRYPOINT") == ['["machine"]']
    assert not re.search(r"\b(uv|pip|apt-get|gcc)\b", FINAL)
