"""F77, F84: maintenance that is killed, stopped, or held up by other people's locks."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from bgtasks.models import CompletedTask, Task, TaskAttempt
from bgtasksd.directory import WAKE_NAME
from tests.daemon import SLOW_MACHINE
from tests.hosts import need_hosts, on_host
from tests.lifecycle import tasks
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def maintenance(daemon):
    """Return the pid of its maintenance process, once it is up."""
    return wait_until(
        lambda: (seen := daemon.status()["maintenance"])["state"] == "running" and seen["pid"], within=SLOW_MACHINE
    )


def is_started(daemon, number=0):
    return number in [entry["number"] for entry in daemon.ledger("started")]


@pytest.mark.soak  # twenty seconds; F47 and F77 of tests/faults/test_supervisor_death.py are in the usual tests
@pytest.mark.skipif(VENDOR != "postgres", reason="what decides is the same everywhere, and one database has two hosts")
def test_f77_killed_again_and_again_it_recovers_before_anybody_loses_a_lease(make_daemon):
    need_hosts()
    one = on_host(make_daemon("one", workers=2, LEASE=12), "alpha").start()
    two = on_host(make_daemon("two", workers=1, LEASE=12), "beta").start()
    tasks.nap(14.0, 1)
    tasks.nap(14.0, 2)
    tasks.nap(14.0, 3)
    wait_until(lambda: len(one.ledger("started")) + len(two.ledger("started")) == 3, within=SLOW_MACHINE)
    seen = None
    for _ in range(3):  # two seconds after each start
        seen = wait_until(lambda seen=seen: (pid := maintenance(one)) != seen and pid, within=SLOW_MACHINE)
        time.sleep(2)
        os.kill(seen, signal.SIGKILL)
    tasks.quick(4)
    wait_until(lambda: CompletedTask.objects.count() == 4, within=SLOW_MACHINE)
    assert not TaskAttempt.objects.exists()
    assert set(CompletedTask.objects.values_list("attempts", "crashes")) == {(1, 0)}
    for daemon in (one, two):
        daemon.assert_converged()


@pytest.mark.skipif(VENDOR != "sqlite", reason="what decides is the same everywhere")
def test_f77_stopped_for_two_leases_a_host_alone_is_degraded_and_nothing_runs_twice(make_daemon):
    daemon = make_daemon(workers=2, LEASE=3).start()
    tasks.nap(8.0)
    wait_until(lambda: is_started(daemon), within=SLOW_MACHINE)
    pid = maintenance(daemon)
    with stopped(pid):
        stopped_at = time.monotonic()
        wait_until(lambda: daemon.status()["state"] == "degraded", within=SLOW_MACHINE)
        assert "renewal_late" in [problem["code"] for problem in daemon.status()["problems"]]
        tasks.quick(1)
        wait_until(lambda: daemon.ledger("ran"), within=SLOW_MACHINE)  # the workers go on
        time.sleep(max(0.0, stopped_at + 6 - time.monotonic()))
    wait_until(lambda: CompletedTask.objects.count() == 2, within=SLOW_MACHINE)
    assert len(daemon.ledger("started")) == 1
    assert not TaskAttempt.objects.exists()
    wait_until(lambda: daemon.status()["state"] == "running", within=SLOW_MACHINE)
    assert maintenance(daemon) == pid
    daemon.assert_converged()


@contextmanager
def stopped(pid):
    """Have a process stand still meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def fill_line_of_maintenance(daemon):
    """Have the supervisor tell maintenance, which reads nothing, more than its line holds; return when it has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # few fit in at once, and each few are passed on
        for _ in range(3000):
            sender.sendto(b"1 scheduled 3600", str(daemon.runtime / WAKE_NAME))


@pytest.mark.skipif(VENDOR != "sqlite", reason="what decides is the same everywhere")
def test_f77_who_lives_and_who_died_is_told_again_when_the_line_of_maintenance_was_full(make_daemon):
    daemon = make_daemon(workers=2, LEASE=6).start()
    task = tasks.hang_once(1)
    wait_until(lambda: is_started(daemon, 1), within=SLOW_MACHINE)
    before, obstacle = daemon.worker_pids(), daemon.directory / "stand-2"
    obstacle.touch()
    with stopped(maintenance(daemon)):
        fill_line_of_maintenance(daemon)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(daemon.log_lines("killed from outside")) == 2, within=SLOW_MACHINE)
        standing = tasks.stand(2)
        wait_until(lambda: daemon.ledger("ran"), within=SLOW_MACHINE)
    completed = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), within=SLOW_MACHINE)
    assert (completed.attempts, completed.crashes) == (2, 1)
    assert not daemon.log_lines("claim_lost|ClaimLost")
    obstacle.unlink()
    completed = wait_until(lambda: CompletedTask.objects.filter(pk=standing.pk).first(), within=SLOW_MACHINE)
    assert (completed.attempts, len(daemon.ledger("ran"))) == (1, 1)
    daemon.assert_converged()


@contextmanager
def locked(ids=()):
    """Hold the rows of these tasks, on SQLite the only write lock there is, in another session."""
    begun, over = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            list(Task.objects.select_for_update().filter(pk__in=ids))
            begun.set()
            over.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_f77_killed_in_the_middle_of_a_release_the_next_one_does_it_once(make_daemon):
    daemon = make_daemon(workers=1, LEASE=8).start()
    task = tasks.hang_once(1)
    wait_until(lambda: is_started(daemon, 1), within=SLOW_MACHINE)
    with locked([task.pk]):
        os.kill(daemon.worker_pids()[0], signal.SIGKILL)
        wait_until(lambda: daemon.log_lines("killed from outside"), within=SLOW_MACHINE)
        time.sleep(0.5)  # it is at the lock by now; if not, it is killed a little earlier
        pid = maintenance(daemon)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: daemon.status()["maintenance"]["pid"] not in (pid, None), within=SLOW_MACHINE)
    completed = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), within=SLOW_MACHINE)
    assert (completed.attempts, completed.crashes, TaskAttempt.objects.count()) == (2, 1, 1)
    daemon.assert_converged()


@pytest.mark.skipif(VENDOR == "sqlite", reason="no row locks: the next test is about its one lock")
def test_f84_rows_locked_by_others_hold_up_no_renewal_of_the_rest(make_daemon):
    need_hosts()
    one = on_host(make_daemon("one", workers=3, LEASE=6), "alpha").start()
    held = [tasks.nap(12.0, number) for number in range(3)]
    wait_until(lambda: len(one.ledger("started")) == 3, within=SLOW_MACHINE)
    two = on_host(make_daemon("two", workers=1, LEASE=6), "beta").start()
    with locked([held[1].pk]):
        until = time.monotonic() + 7
        while time.monotonic() < until:
            assert one.status()["maintenance"]["last_renewal_s"] < 4  # at two thirds of a lease it would be late
            assert one.status()["state"] == "running"
            time.sleep(0.2)
    wait_until(lambda: CompletedTask.objects.count() == 3, within=SLOW_MACHINE)
    assert not TaskAttempt.objects.exists()
    assert len(one.ledger("started")) == 3
    assert not two.ledger("started")
    one.assert_converged()


@pytest.mark.skipif(VENDOR != "sqlite", reason="only there one task can keep everybody from writing")
def test_f84_a_task_that_holds_the_write_lock_makes_renewals_late_and_nothing_is_reclaimed(make_daemon):
    daemon = make_daemon(workers=2, LEASE=3).start()
    tasks.nap(8.0, 1)
    wait_until(lambda: is_started(daemon, 1), within=SLOW_MACHINE)
    tasks.write_and_nap(6.0, 2)
    wait_until(lambda: is_started(daemon, 2), within=SLOW_MACHINE)
    wait_until(lambda: daemon.status()["state"] == "degraded", within=6)
    wait_until(lambda: CompletedTask.objects.count() == 2, within=SLOW_MACHINE)
    assert not TaskAttempt.objects.exists()
    assert set(CompletedTask.objects.values_list("attempts", "crashes")) == {(1, 0)}
    wait_until(lambda: daemon.status()["state"] == "running", within=SLOW_MACHINE)
    daemon.assert_converged()
