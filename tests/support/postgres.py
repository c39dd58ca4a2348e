"""A PostgreSQL of our own for the tests: started once, one fresh database a test."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import asyncpg


def find_programs() -> Path | None:
    """The folder of the newest server programs, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for folder in reversed(folders):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class PostgresServer:
    """A server in a temporary folder, listening on loopback."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="machine-pg-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}"

    def start(self) -> None:
        if self._user:
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self._folder}"
        )
        options += " -c max_connections=200"
        self._run(
            "pg_ctl",
            "-D",
            str(data),
            "-w",
            "-t",
            "60",
            "-l",
            str(self._folder / "log"),
            "-o",
            options,
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", mode, "stop")

    def follow(self, primary: "PostgresServer") -> None:
        """Be a standby of another server from the next start on: its copy, or what was a primary until now."""
        address = f"host=127.0.0.1 port={primary.port} user=postgres"
        if self._user:
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        if not data.exists():
            self._run(
                "pg_basebackup", "-D", str(data), "-d", address, "-c", "fast", "-X", "stream", "--no-sync"
            )
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{address}'\n")
        (data / "standby.signal").touch()

    def promote(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "promote")

    def freeze(self) -> None:
        """Stop every process of it, as a node that hangs does: the kernel accepts, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = int((self._folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(postmaster, number)
        for process in _children(postmaster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def remove(self) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self.thaw()
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            user=self._user,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self._folder,
        )


def _children(process: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], check=False, capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


async def create_database(server_url: str, name: str, template: str | None = None) -> str:
    connection = await asyncpg.connect(_plain(server_url) + "/postgres")
    try:
        await connection.execute(
            f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else "")
        )
    finally:
        await connection.close()
    return f"{server_url}/{name}"


async def drop_database(server_url: str, name: str) -> None:
    connection = await asyncpg.connect(_plain(server_url) + "/postgres")
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


if __name__ == "__main__":
    programs = find_programs()
    assert programs
    server = PostgresServer(programs)
    server.start()
    print(server.url, flush=True)
    try:
        asyncio.run(asyncio.Event().wait())
    finally:
        server.remove()
