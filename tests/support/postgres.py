"""A PostgreSQL of our own for the tests: started once, one fresh database a test."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import asyncpg

from tests.support.ports import free_port

# The tables with their columns, what they demand and what they do by themselves, and the settings of the database.
SHAPE = """
SELECT md5(string_agg(part, ';' ORDER BY part)) FROM (
    SELECT attrelid::regclass || '.' || attname || atttypid || attnotnull FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL SELECT conrelid::regclass || conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0
    UNION ALL SELECT tgrelid::regclass || tgname FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT array_to_string(setconfig, ',') FROM pg_db_role_setting
        JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
    UNION ALL SELECT 'version' || version_num FROM alembic_version
) AS parts(part)
"""


def find_programs() -> Path | None:
    """The folder of the newest server programs, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for folder in reversed(folders):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class PostgresServer:
    """A server in a temporary folder, listening on loopback.

    One that need not survive a loss of power is not durable: it leaves the disk to the kernel.
    """

    def __init__(self, programs: Path, *, durable: bool = True) -> None:
        self._programs = programs
        self._durable = durable
        self._folder = Path(tempfile.mkdtemp(prefix="machine-pg-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
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
        if not self._durable:
            options += " -c fsync=off -c full_page_writes=off"
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


async def shape_of(url: str) -> str:
    """What tells a database whose tables a test has changed from one of which only the rows are others."""
    connection = await asyncpg.connect(_plain(url))
    try:
        return await connection.fetchval(SHAPE)
    finally:
        await connection.close()


async def empty_database(url: str) -> str:
    """End every other session of a migrated database, forget its rows, and give its shape.

    That takes a hundredth of the time of another database.
    """
    connection = await asyncpg.connect(_plain(url))
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        sequences = await connection.fetch(
            "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"
        )
        await connection.execute(
            "SET session_replication_role = replica;"
            + "".join(f'DELETE FROM "{name}";' for (name,) in tables)
            + "".join(f"SELECT setval('\"{name}\"', 1, false);" for (name,) in sequences)
        )
        return await connection.fetchval(SHAPE)
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
