"""F62: what a stop interrupts or kills is ready again and not charged an attempt."""

from __future__ import annotations

import signal
import time

import pytest

from bgtasks.models import Status, Task
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f62_a_stop_wins_over_other_signals_and_the_second_order_interrupts(make_daemon):
    daemon = make_daemon(workers=3, DRAIN_TIMEOUT=60).start()
    interrupted, killed = tasks.hang(), tasks.hang_stubbornly()
    daemon.busy_worker("hang")
    daemon.busy_worker("hang_stubbornly")
    begun = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: daemon.log_lines("stopping: 2 tasks running"))
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGUSR2):
        daemon.process.send_signal(number)
    assert daemon.status()["state"] == "stopping"
    for _ in range(4):
        daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait_for_end() == 0
    assert time.monotonic() - begun < 15
    assert {entry["error"] for entry in daemon.ledger("interrupted")} == {"TaskInterrupted"}
    for task in (interrupted, killed):
        row = Task.objects.get(pk=task.pk)
        assert (row.status, row.attempts, row.crashes) == (Status.READY, 0, 0)


def test_f62_quit_after_term_kills_a_stubborn_task_soon_and_does_not_charge_it(make_daemon):
    daemon = make_daemon(workers=2, DRAIN_TIMEOUT=60, KILL_GRACE=3).start()
    task = tasks.hang_stubbornly()
    daemon.busy_worker("hang_stubbornly")
    daemon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: daemon.log_lines("stopping: 1 task running"))
    begun = time.monotonic()
    assert daemon.end(signal.SIGQUIT) == 0
    assert time.monotonic() - begun < 2 + 5
    row = Task.objects.get(pk=task.pk)
    assert (row.status, row.attempts, row.crashes) == (Status.READY, 0, 0)


def test_stop_now_by_command_gives_the_running_task_back(make_daemon):
    daemon = make_daemon(workers=1).start()
    tasks.hang()
    daemon.busy_worker("hang")
    stopped = daemon.command("stop", "--now")
    assert stopped.returncode == 0, stopped.stderr
    assert daemon.wait_for_end() == 0
    assert Task.objects.get().status == Status.READY
