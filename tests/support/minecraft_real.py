"""Real servers and clients from npm, where Node.js and the package are there; never missing in CI.

`MACHINE_TEST_NODE_MODULES` names a folder with `node_modules` in it, made by
`npm install --prefix FOLDER --ignore-scripts minecraft-protocol@1.68.0 flying-squid@1.12.0`.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = "MACHINE_TEST_NODE_MODULES"
USUAL = Path.home() / ".cache" / "the-machine" / "node"
_SCRIPTS = Path(__file__).parent / "node"


def find_modules(package: str) -> Path:
    """Return the folder with a package; skips the test where it is not, but in CI."""
    modules = Path(os.environ.get(FOLDER) or USUAL) / "node_modules"
    if shutil.which("node") and (modules / package).is_dir():
        return modules
    missing = f"Node.js or {package} is not installed ({FOLDER})"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@dataclass
class Program:
    process: asyncio.subprocess.Process

    async def told(self, key: str) -> object:
        """Wait until the program says this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            async for line in self.process.stdout:
                said = json.loads(line)
                assert "error" not in said, said
                if key in said:
                    return said[key]
        raise AssertionError("the program ended")


@asynccontextmanager
async def program(script: str, *arguments: object) -> AsyncIterator[Program]:
    modules = find_modules("flying-squid" if script == "squid.js" else "minecraft-protocol")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(_SCRIPTS / script),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(modules)},
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
