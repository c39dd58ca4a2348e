"""`machine demo`, where it cannot run."""

import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(90)

WITHOUT_SIMCORD = """
import sys
sys.modules["simcord"] = None
from bot.cli.main import main
sys.exit(main(["demo"]))
"""


def test_without_the_extra_it_says_which_one_is_missing():
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_SIMCORD], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "needs the extra `demo`" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_said_in_a_sentence():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "bot", "demo", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Port {port} is taken")
