"""Database servers of our own, on free ports: to be stopped, restarted and crashed at will."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.waiting import wait_until

NAME = "bgtasks_own"
PATIENCE = 60.0


class Server:
    """A database; this one is a file, and nothing can be restarted."""

    vendor = "sqlite"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = dict(os.environ)
        """That of the server's processes."""

    @property
    def name(self) -> str:
        """What stands in DATABASES["default"]["NAME"]."""
        return str(self.directory / f"bgtasks-{NAME}.sqlite3")

    def variables(self) -> dict[str, str]:
        """Return the environment in which `tests.settings` means this database."""
        where = {"BGTASKS_TEST_DB_NAME": NAME, "BGTASKS_TEST_SQLITE_DIR": str(self.directory)}
        return {"BGTASKS_TEST_DB": "sqlite", **where}

    def start(self) -> None:
        """Start it; return when it answers."""

    def stop(self, *, crash: bool = False) -> None:
        """Stop it: its clients lose their connections. `crash`: as a failure of the machine would."""

    def launched(self, command: list[Any], user: str, log: Any) -> subprocess.Popen[bytes]:
        """Start the server's program."""
        return subprocess.Popen(
            command, user=account(user), env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/"
        )

    def end_all_others(self, cursor: Any) -> None:
        """End every connection but the one of this cursor."""


class Postgres(Server):
    """A PostgreSQL cluster."""

    vendor = "postgres"
    name = NAME

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.programs = _programs_of_postgres() or Path("/usr/bin")
        self.port = free_port()
        self.data = belonging_to("postgres", directory / "postgres")
        self.settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}", "-c", "max_connections=200"]
        self.settings += ["-c", f"unix_socket_directories={self.data}"]
        made = [self.programs / "initdb", "-D", self.data / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run(made, check=True, user=account("postgres"), stdout=subprocess.DEVNULL, cwd="/")

    def variables(self) -> dict[str, str]:
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": ""}
        return {"BGTASKS_TEST_DB": "postgres", "BGTASKS_TEST_DB_NAME": NAME, **where}

    def start(self) -> None:
        with (self.directory / "postgres.log").open("ab") as log:
            command = [self.programs / "postgres", "-D", self.data / "data", *self.settings]
            self.process = self.launched(command, "postgres", log)
        wait_until(lambda: self.answers("SELECT 1"), PATIENCE, "PostgreSQL")

    def answers(self, sql: str, database: str = "postgres") -> bool:
        """Run a statement with the server's own client; say whether that worked."""
        command = [
            self.programs / "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-c",
            sql,
            database,
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def create(self) -> None:
        """Make the database."""
        assert self.answers(f"CREATE DATABASE {NAME}")

    def end_all_others(self, cursor: Any) -> None:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def stop(self, *, crash: bool = False) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        self.process.wait(PATIENCE)


class MariaDB(Server):
    """A MariaDB server."""

    vendor = "mariadb"
    name = NAME

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.port = free_port()
        self.data = belonging_to("mysql", directory / "mariadb")
        made: list[Any] = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}/data"]
        made += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(made, check=True, user=account("mysql"), stdout=subprocess.DEVNULL, cwd="/")

    def variables(self) -> dict[str, str]:
        where = {"MYSQL_HOST": "127.0.0.1", "MYSQL_PORT": str(self.port), "MYSQL_USER": "root", "MYSQL_PWD": ""}
        return {"BGTASKS_TEST_DB": "mariadb", "BGTASKS_TEST_DB_NAME": NAME, **where}

    def start(self) -> None:
        command = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.data}/data"]
        command += [f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.data}/socket"]
        command += [f"--pid-file={self.data}/pid", "--max-connections=200"]
        with (self.directory / "mariadb.log").open("ab") as log:
            self.process = self.launched(command, "mysql", log)
        wait_until(lambda: self.answers("SELECT 1"), PATIENCE, "MariaDB")

    def answers(self, sql: str) -> bool:
        """Run a statement with the server's own client; say whether that worked."""
        command = ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(self.port), "-u", "root", "-e", sql]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def create(self) -> None:
        """Make the database, and let the root of TCP in."""
        assert self.answers(f"CREATE DATABASE {NAME} CHARACTER SET utf8mb4")

    def end_all_others(self, cursor: Any) -> None:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = database()")
        for (number,) in cursor.fetchall():
            with contextlib.suppress(Exception):  # it has left meanwhile
                cursor.execute(f"KILL {number}")

    def stop(self, *, crash: bool = False) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL if crash else signal.SIGTERM)
        self.process.wait(PATIENCE)


def account(name: str) -> str | None:
    """Return the user to run a server as: root may not, everybody else is themselves."""
    return name if os.geteuid() == 0 else None


def belonging_to(name: str, directory: Path) -> Path:
    """Make a directory that a server may write to, with a path that its user can walk."""
    if os.geteuid() != 0:
        directory.mkdir()
        return directory
    made = Path(tempfile.mkdtemp(prefix=f"bgtasks-{name}-"))
    user = pwd.getpwnam(name)
    os.chown(made, user.pw_uid, user.pw_gid)
    return made


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def is_installed(vendor: str) -> bool:
    """Say whether there are the programs to make a server of."""
    found = {"sqlite": True, "postgres": _programs_of_postgres(), "mariadb": shutil.which("mariadb-install-db")}[vendor]
    return bool(found)


def _programs_of_postgres() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextlib.contextmanager
def a_server(vendor: str, directory: Path, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """Make a server, start it, and stop it afterwards."""
    server = {"sqlite": Server, "postgres": Postgres, "mariadb": MariaDB}[vendor](directory)
    server.environment.update(environment or {})
    try:
        server.start()
        if isinstance(server, Postgres | MariaDB):
            server.create()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop(crash=True)
        if isinstance(server, Postgres | MariaDB) and server.data.parent != directory:
            shutil.rmtree(server.data, ignore_errors=True)
