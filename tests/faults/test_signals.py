"""F59, F62: stopping at every moment, and every order of being told to."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bgtasks.models import CompletedTask, Status, Task
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

POINTS = 12


def test_f59_sigterm_at_any_moment_of_the_start_ends_it_and_leaves_nothing_behind(make_daemon):
    daemon = make_daemon(workers=2)
    begun = time.monotonic()
    daemon.start()
    whole = time.monotonic() - begun
    assert daemon.end() == 0
    for point in range(POINTS):
        daemon.start(is_awaited=False)
        time.sleep(whole * 1.1 * point / POINTS)  # the moment is what is tested
        assert daemon.end(signal.SIGTERM) in (0, -signal.SIGTERM), daemon.log
        wait_until(daemon.is_swept, within=10)
    daemon.start()
    assert daemon.end() == 0


def test_f62_a_stop_wins_over_other_signals_and_the_second_order_interrupts(make_daemon):
    daemon = make_daemon(workers=2, DRAIN_TIMEOUT=60).start()
    task = tasks.hang()
    daemon.busy_worker("hang")
    begun = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: daemon.log_lines("stopping: 1 task running"))
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGUSR2):
        daemon.process.send_signal(number)
    assert daemon.try_status()["state"] == "stopping"
    for _ in range(4):
        daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait_for_end() == 0
    assert time.monotonic() - begun < 15
    assert daemon.ledger("interrupted")[0]["error"] == "TaskInterrupted"
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


def test_f62_control_c_in_a_terminal_lets_running_tasks_finish(make_daemon):
    """INT goes to the whole foreground group: supervisor, zygote, maintenance; workers have groups of their own."""
    daemon = make_daemon(workers=2)
    daemon.wrapper = ["setsid", "--wait"]
    daemon.start()
    tasks.nap(1.5)
    worker = daemon.busy_worker("nap")["pid"]
    supervisor = daemon.status()["pid"]
    assert os.getpgid(worker) == worker
    os.killpg(os.getpgid(supervisor), signal.SIGINT)
    assert daemon.wait_for_end() == 0
    assert len(daemon.ledger("ended")) == 1
    assert CompletedTask.objects.get().attempts == 1


def test_term_to_every_process_cuts_no_task(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.nap(1.5)
    daemon.busy_worker("nap")
    for pid in daemon.processes():
        os.kill(pid, signal.SIGTERM)
    assert daemon.wait_for_end() == 0
    assert CompletedTask.objects.get().attempts == 1


def test_a_stop_by_command_waits_and_a_second_start_is_refused(make_daemon):
    daemon = make_daemon(workers=1).start()
    second = daemon.command("start", "--workers", "1")
    assert second.returncode == 73
    assert str(daemon.pid) in second.stderr
    assert daemon.is_ready
    tasks.hang()
    daemon.busy_worker("hang")
    stopped = daemon.command("stop", "--now")
    assert stopped.returncode == 0, stopped.stderr
    assert daemon.wait_for_end() == 0
    assert Task.objects.get().status == Status.READY
