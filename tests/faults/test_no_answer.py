"""A database that hangs: connected, and silent. Nobody waits for it longer than is promised, and nothing is lost."""

from __future__ import annotations

import time

import pytest

from bgtasks.models import CompletedTask, Status, TaskAttempt
from tests.daemon import SLOW_MACHINE
from tests.hosts import behind, proxy
from tests.lifecycle import tasks
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.skipif(VENDOR == "sqlite", reason="a file answers")]
IDLE_TIMEOUT = 20

__all__ = ["proxy"]


def test_connections_that_hang_are_given_up_and_what_was_running_is_written_by_a_new_one(make_daemon, proxy):
    daemon = make_daemon(workers=1, LEASE=60, IDLE_TIMEOUT=IDLE_TIMEOUT)
    daemon = behind(proxy, daemon).start()
    (pid,) = daemon.worker_pids()
    ends = tasks.nap(1, 1)
    daemon.busy_worker("nap")
    proxy.freeze()  # the connections that are there; new ones go through
    frozen_at = time.monotonic()
    after = tasks.quick(2)
    wait_until(lambda: CompletedTask.objects.count() == 2, IDLE_TIMEOUT + 2 * SLOW_MACHINE)
    check_who_has_noticed(daemon, pid, time.monotonic() - frozen_at)
    assert {one.pk for one in CompletedTask.objects.filter(outcome=Status.SUCCESSFUL)} == {ends.pk, after.pk}
    assert len(daemon.ledger("started")) == len(daemon.ledger("ran")) == 1
    assert not TaskAttempt.objects.exists()
    daemon.assert_converged()


def check_who_has_noticed(daemon, pid, took):
    """The worker by itself, where its driver can be interrupted; else its supervisor, when the loop does not move."""
    by_maintenance = "not reachable: .*(no answer within 10 s|Lost connection|gone away)"
    wait_until(lambda: daemon.log_lines(by_maintenance), SLOW_MACHINE)  # its question may be younger than the worker's
    if VENDOR == "postgres":
        assert daemon.worker_pids() == [pid]
        assert daemon.log_lines("cannot be reached, trying again: NoAnswer: no answer within 10 s")
        assert took < 10 + 1 + SLOW_MACHINE
    else:
        assert daemon.log_lines(f"pid {pid} died: killed: its loop had not moved for too long")


@pytest.mark.skipif(VENDOR != "postgres", reason="elsewhere a call that hangs ends with its worker")
def test_what_a_task_asks_may_take_as_long_as_it_likes(make_daemon):
    make_daemon(workers=1).start()
    task = tasks.ask_for_long(12)
    wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).exists(), 2 * SLOW_MACHINE)
    assert CompletedTask.objects.get(pk=task.pk).status == Status.SUCCESSFUL
    assert not TaskAttempt.objects.exists()
