"""Daemons and foreground workers that look at the queue so seldom that a task which starts has woken somebody."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection

from bgtasks.waking import committing, sending
from tests.foreground import foregrounds
from tests.lifecycle.conftest import make_daemon
from tests.waiting import wait_until

__all__ = ["make_daemon"]

SELDOM = 120.0
"""Seconds between two looks: longer than any test waits."""
SLOW_MACHINE = 30.0


@pytest.fixture(autouse=True)
def nothing_told_yet():
    """Let other tests' notices and listings count for nothing."""
    sending.sender._listed_at = float("-inf")
    committing._notified.clear()
    committing._due.clear()


@pytest.fixture
def look_in(monkeypatch):
    """A function that tells the test process where sockets lie."""

    def tell(directory: Path) -> None:
        monkeypatch.setenv("BGTASKSD_RUNTIME_DIR", str(directory))
        sending.sender._listed_at = float("-inf")

    return tell


@pytest.fixture
def start_idle(make_daemon, look_in):
    """A function that starts a daemon whose workers have nothing to do, and will not look again by themselves."""

    def start(*, is_found: bool = True, through: int | None = None, **options):
        daemon = make_daemon(**{"SLEEP": SELDOM, **options})
        if through is not None:
            with (daemon.directory / "project_under_test.py").open("a") as settings:
                settings.write(f"DATABASES['default'].update(HOST='127.0.0.1', PORT={through})\n")
        look_in(daemon.runtime if is_found else daemon.directory / "nowhere")
        daemon.start()
        wait_until(lambda: are_idle(daemon), SLOW_MACHINE, "idle workers")
        return daemon

    return start


def are_idle(daemon) -> bool:
    """Tell whether every worker has looked at the queue and rests."""
    from bgtasks.models import WorkerProcess

    states = [worker["state"] for worker in daemon.status()["workers"]]
    return states == ["idle"] * daemon.workers and WorkerProcess.objects.count() >= daemon.workers


@pytest.fixture
def pooler(tmp_path_factory):
    """A pgbouncer in transaction mode before the test database; it will not run as root."""
    folder = tmp_path_factory.mktemp("pooler")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    given = connection.settings_dict
    server = SimpleNamespace(host=given["HOST"] or "127.0.0.1", port=int(given["PORT"] or 5432), listen_port=port)
    password = f" password={given['PASSWORD']}" if given["PASSWORD"] else ""
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.host} port={server.port} user={given['USER']}{password}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = transaction\nunix_socket_dir =\n"
        "ignore_startup_parameters = extra_float_digits,options\n"
    )
    somebody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with (folder / "pgbouncer.ini").open("rb") as settings:
        command = ["pgbouncer", "/dev/stdin"]
        process = subprocess.Popen(command, stdin=settings, stdout=-3, stderr=-3, cwd="/", **somebody)
    try:
        wait_until(lambda: answers(port) or process.poll() is not None, SLOW_MACHINE, "the pooler")
        assert process.poll() is None
        yield server
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int) -> bool:
    """Tell whether somebody listens on this port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def make_foreground(tmp_path, transactional_db):
    """A function that makes foreground workers."""
    with foregrounds(tmp_path, connection.settings_dict["NAME"]) as make:
        yield make
