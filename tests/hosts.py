"""Two "hosts" on one machine: daemons with different host names, on one database, each reached by a way of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.daemon import Daemon
from tests.proxy import Proxy

UNSHARE = ("unshare", "--uts") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--uts")


def on_host(daemon: Daemon, name: str) -> Daemon:
    """Have a daemon live on a host of this name."""
    naming = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
    daemon.wrapper = (*UNSHARE, sys.executable, "-c", naming, name)
    return daemon


def need_hosts() -> None:
    """Skip where a process may not have a host name of its own."""
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        assert os.environ.get("CI") != "true", tried.stderr
        pytest.skip(f"no host name of one's own: {tried.stderr.strip()}")


def behind(proxy: Proxy, daemon: Daemon) -> Daemon:
    """Have a daemon reach its database through a proxy."""
    daemon.add_setting(f"DATABASES['default'].update(HOST='127.0.0.1', PORT='{proxy.port}')")
    return daemon


def new_proxy() -> Proxy:
    """Return a proxy in front of the test database; nothing comes through before it is opened."""
    settings = connection.settings_dict
    return Proxy(settings["HOST"], int(settings["PORT"]))


@pytest.fixture
def proxy(transactional_db: None) -> Iterator[Proxy]:
    """An open proxy in front of the test database."""
    made = new_proxy()
    made.open()
    yield made
    made.close()


def listening() -> int:
    """Return how many connections listen on this database; one that still begins to would miss what is told now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'"
        )
        count: int = cursor.fetchone()[0]
    return count


def settled(task: Any) -> dict[str, Any]:
    """Return what the database says of a task, live or over."""
    from bgtasks.models import CompletedTask, Task, TaskAttempt

    row = Task.objects.filter(pk=task.pk).first() or CompletedTask.objects.get(pk=task.pk)
    attempts = TaskAttempt.objects.filter(task_id=task.pk).order_by("id")
    return {
        "status": row.status.name if hasattr(row.status, "name") else row.status,
        "attempts": row.attempts,
        "crashes": row.crashes,
        "errors": [attempt.exception.rpartition(".")[2] for attempt in attempts],
    }
