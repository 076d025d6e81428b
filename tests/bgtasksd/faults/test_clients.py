"""F73: clients that misbehave, and what of a task's arguments nobody is told."""

from __future__ import annotations

import contextlib
import http.client
import socket
import statistics
import time
import urllib.request

import pytest

from bgtasks.models import CompletedTask
from bgtasksd.connection import Connection
from bgtasksd.directory import SOCKET_NAME
from tests.crowd import misbehaving
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f73_a_thousand_misbehaving_clients_hold_neither_the_loop_nor_a_worker(make_daemon):
    daemon = make_daemon(workers=1)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    daemon.start("--http", str(port))
    worker, latencies = daemon.worker_pids(), []
    with Connection(daemon.runtime) as kept, misbehaving(1000, daemon.runtime / SOCKET_NAME), misbehaving(1000, port):
        kept.be_patient(SLOW_MACHINE)
        for _ in range(100):
            asked_at = time.monotonic()
            kept.ask("status")
            latencies.append(time.monotonic() - asked_at)
        assert daemon.command("status").returncode == 0
        wait_until(lambda: _is_ready(port), SLOW_MACHINE)
        tasks.quick(1)
        wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    assert statistics.median(latencies) < 0.2  # 10 ms are promised, of a machine that is not shared with other tests
    assert daemon.worker_pids() == worker
    assert not daemon.log_lines("a callback of the supervisor failed|Traceback")
    daemon.assert_converged()


def _is_ready(port: int) -> bool:
    """Ask as a probe does; one that is cut asks again the next time."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=SLOW_MACHINE).status == 200
    return False


def test_f73_the_log_has_no_arguments_of_tasks_however_they_end(make_daemon):
    daemon = make_daemon(workers=1, MAX_RUN_TIME=1).start()
    secret = 481516234208
    tasks.quick(secret)
    tasks.hang.using(max_attempts=1).enqueue(number=secret)
    tasks.fail_once.using(max_attempts=1).enqueue(secret)
    tasks.stand.using(max_attempts=1).enqueue(number=secret, wrong=secret)
    wait_until(lambda: CompletedTask.objects.count() == 4, SLOW_MACHINE)
    assert len(daemon.log_lines("tests.lifecycle.tasks.(quick|hang|fail_once|stand)")) >= 4
    assert str(secret) not in daemon.log
