"""A pgbouncer of the tests' own, for those who ask what happens behind one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from types import SimpleNamespace

import pytest
from django.db import connection

from tests.settings import VENDOR
from tests.waiting import wait_until

needs_pooler = pytest.mark.skipif(
    VENDOR != "postgres" or shutil.which("pgbouncer") is None, reason="needs PostgreSQL and pgbouncer"
)
SLOW_MACHINE = 30.0


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
