"""`machine demo` as a process, as a person starts it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Demo:
    process: subprocess.Popen[str]
    started_at: float
    said: list[str]
    complaints: Path
    """What it wrote to its standard error."""

    @property
    def page_url(self) -> str:
        return self._pages[0]

    @property
    def games_url(self) -> str:
        """The page of #minecraft."""
        return self._pages[1]

    @property
    def _pages(self) -> list[str]:
        return re.findall(r"http://127\.0\.0\.1:\d+/#\S+", "".join(self.said))

    @property
    def curl(self) -> str:
        return next(line.strip() for line in self.said if line.lstrip().startswith("curl "))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def demo(*arguments: str) -> Iterator[Demo]:
    """Start it on free ports, and wait until it has said everything."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MACHINE_")}
    started_at = time.monotonic()
    # A file and no pipe: nobody reads what it logs before it is over.
    with tempfile.NamedTemporaryFile() as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", "demo", "--port", "0", "--page-port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**environ, "TZ": "UTC"},
        )
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if "Ctrl-C" in line:
                    break
            yield Demo(process, started_at, said, Path(complaints.name))
        finally:
            ended = process.poll()
            process.terminate()
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            finally:
                # Shown with a test that failed.
                alive = "lived" if ended is None else f"had ended with {ended}"
                sys.stderr.write(
                    f"The demo {alive} when the test ended. It said:\n{Path(complaints.name).read_text()}"
                )
