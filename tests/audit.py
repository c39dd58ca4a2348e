"""Asks which libraries of the image have known vulnerabilities: `make audit`.

Without a network, or behind an index that knows nothing of vulnerabilities, it says what was not
audited and is content; with `AUDIT=required` that is a failure too.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PROGRAMS = Path(sys.executable).parent
_SECONDS = 120


def locked() -> str:
    """Return what the images install, with hashes, from uv.lock."""
    command = [
        _PROGRAMS / "uv",
        "export",
        "--frozen",
        "--no-dev",
        "--extra",
        "graphs",
        "--no-emit-project",
        "--quiet",
    ]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def asked(requirements: str) -> Mapping[str, Any] | None:
    """Return pip-audit's report; None where it could not ask."""
    command = [_PROGRAMS / "pip-audit", "--requirement", "/dev/stdin", "--disable-pip", "--format", "json"]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off", "--timeout", "10"],
            input=requirements,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return report if isinstance(report, dict) else None


def judged(report: Mapping[str, Any] | None, *, required: bool) -> tuple[list[str], int]:
    """Return what to print, and how the program ends."""
    if report is None:
        return ["not audited: nobody could be asked about vulnerabilities"], int(required)
    dependencies = report["dependencies"]
    lines = [
        f"{each['name']} {each['version']}: {found['id']}, repaired in {', '.join(found['fix_versions']) or 'nothing yet'}"
        for each in dependencies
        for found in each.get("vulns", ())
    ]
    skipped = [each["name"] for each in dependencies if "skip_reason" in each]
    count = len(dependencies) - len(skipped)
    summary = f"{count} libraries audited, {len(skipped)} not, {len(lines)} vulnerabilities"
    return [*lines, summary], int(bool(lines) or (required and bool(skipped)))


def main() -> int:
    """Audit what is locked."""
    lines, status = judged(asked(locked()), required=os.environ.get("AUDIT") == "required")
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
