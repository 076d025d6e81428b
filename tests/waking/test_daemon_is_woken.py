"""Daemons that would not look at the queue for minutes: what starts all the same was woken for."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction

from bgtasks.models import CompletedTask
from bgtasks.queue import claims
from bgtasksd.directory import WAKE_NAME
from tests.hosts import listening, proxy
from tests.lifecycle import tasks
from tests.pooler import needs_pooler
from tests.settings import VENDOR
from tests.waiting import wait_until
from tests.waking.conftest import SELDOM, SLOW_MACHINE

__all__ = ["proxy"]
pytestmark = pytest.mark.processes
only_with_notifications = pytest.mark.skipif(VENDOR != "postgres", reason="only PostgreSQL tells other hosts")


def wait_for(daemon, event: str, count: int) -> list[dict]:
    wait_until(lambda: len(daemon.ledger(event)) >= count, SLOW_MACHINE, f"{event} × {count}; log:\n{daemon.log}")
    return daemon.ledger(event)


def test_an_idle_worker_is_woken_by_the_commit(start_idle):
    daemon = start_idle(workers=2)
    for number in range(3):
        tasks.quick.enqueue(number)
        wait_for(daemon, "ran", number + 1)


def test_one_commit_wakes_one_worker_and_a_full_batch_the_next(start_idle):
    daemon = start_idle(workers=3)
    with transaction.atomic():
        for number in range(3):
            tasks.nap(3.0, number)
    started = wait_for(daemon, "started", 3)
    assert not daemon.ledger("ended")
    assert len({note["pid"] for note in started}) == 3


def test_another_process_that_was_forked_after_its_first_task_wakes_too(start_idle):
    daemon = start_idle(workers=1)
    code = """
import os, django
django.setup()
from django.db import connection
from tests.lifecycle.tasks import quick
quick.enqueue(1)
connection.close()
if os.fork() == 0:
    quick.enqueue(2)
    os._exit(0)
assert os.wait()[1] == 0
"""
    environ = {**daemon.environment(), "BGTASKSD_RUNTIME_DIR": str(daemon.runtime)}
    subprocess.run([sys.executable, "-c", code], env=environ, cwd=daemon.directory, check=True)
    assert sorted(note["number"] for note in wait_for(daemon, "ran", 2)) == [1, 2]


def test_a_task_that_enqueues_wakes_another_worker(start_idle):
    daemon = start_idle(workers=2, is_found=False, LISTEN=False)
    tasks.nap_and_enqueue(3.0)
    wake(daemon)
    wait_for(daemon, "ran", 1)
    assert not daemon.ledger("ended")


def wake(daemon) -> None:
    """Tell the daemon that there is something."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"1 ready default", str(daemon.runtime / WAKE_NAME))


def test_tasks_start_on_time_also_when_a_nearer_one_comes_after(start_idle):
    daemon = start_idle(workers=1)
    tasks.quick.using(run_at=timedelta(hours=1)).enqueue(0)
    far = tasks.quick.using(run_at=timedelta(seconds=4)).enqueue(1)
    near = tasks.quick.using(run_at=timedelta(seconds=2)).enqueue(2)
    assert [note["number"] for note in wait_for(daemon, "ran", 2)] == [2, 1]
    for task in (far, near):
        completed = wait_until(lambda task=task: CompletedTask.objects.filter(pk=task.pk).first(), SLOW_MACHINE)
        assert completed.locked_at >= task.run_at


def test_a_retry_and_a_repetition_come_on_time(start_idle):
    daemon = start_idle(workers=1, BACKOFF=1)
    tasks.fail_once.enqueue(1)
    wait_for(daemon, "ran", 2)
    tasks.quick.using(repeat=2).enqueue(2)
    wait_until(lambda: len(daemon.ledger("ran")) >= 4, SLOW_MACHINE)


def test_what_people_make_ready_starts(start_idle):
    daemon = start_idle(workers=1)
    later = tasks.quick.using(run_at=timedelta(hours=1)).enqueue(1)
    claims.run_now([later.id])
    wait_for(daemon, "ran", 1)
    wait_until(lambda: CompletedTask.objects.count() == 1, SLOW_MACHINE)
    claims.retry([later.id])
    wait_for(daemon, "ran", 2)


@only_with_notifications
def test_a_daemon_of_another_host_is_woken_by_the_database(start_idle):
    daemon = start_idle(workers=2, is_found=False)
    wait_until(lambda: listening() == 1, SLOW_MACHINE, "one connection that listens")
    for number in range(3):
        tasks.quick.enqueue(number)
        wait_for(daemon, "ran", number + 1)
    near = tasks.quick.using(run_at=timedelta(seconds=1)).enqueue(3)
    wait_for(daemon, "ran", 4)
    completed = wait_until(lambda: CompletedTask.objects.filter(pk=near.pk).first(), SLOW_MACHINE)
    assert completed.locked_at >= near.run_at


@only_with_notifications
def test_the_last_of_a_burst_is_found_though_other_hosts_are_told_but_once(start_idle):
    daemon = start_idle(workers=1, is_found=False)
    wait_until(lambda: listening() == 1, SLOW_MACHINE, "one connection that listens")
    for number in range(200):
        tasks.quick.enqueue(number)
    wait_for(daemon, "ran", 200)


@only_with_notifications
def test_listening_goes_on_after_its_connection_was_cut(start_idle):
    daemon = start_idle(workers=1, is_found=False)
    wait_until(lambda: listening() == 1, SLOW_MACHINE, "one connection that listens")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        [(cut, _)] = cursor.fetchall()
    wait_until(lambda: listening() == 1 and not is_there(cut), SLOW_MACHINE, "another one")
    tasks.quick.enqueue(1)
    wait_for(daemon, "ran", 1)


@only_with_notifications
def test_what_was_enqueued_while_nothing_could_be_heard_is_looked_for(start_idle, proxy):
    given = {"HOST": "127.0.0.1", "PORT": proxy.port}
    daemon = start_idle(workers=1, is_found=False, LISTEN=given)
    wait_until(lambda: listening() == 1, SLOW_MACHINE, "one connection that listens")
    proxy.cut()
    wait_until(lambda: listening() == 0, SLOW_MACHINE, "nobody who listens")
    tasks.quick.enqueue(1)
    proxy.open()
    wait_for(daemon, "ran", 1)


def is_there(backend: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [backend])
        return bool(cursor.fetchone()[0])


def test_with_everything_off_polling_finds_all(start_idle):
    daemon = start_idle(workers=2, WAKE=False, SLEEP=0.5)
    assert not list(daemon.runtime.glob("wake*"))
    if VENDOR == "postgres":
        assert listening() == 0
    for number in range(3):
        tasks.quick.enqueue(number)
        wait_for(daemon, "ran", number + 1)
    tasks.quick.using(run_at=timedelta(seconds=1)).enqueue(3)
    wait_for(daemon, "ran", 4)


def test_floods_and_garbage_wake_nobody_in_vain_and_hold_up_nothing(start_idle):
    daemon = start_idle(workers=2)
    path = str(daemon.runtime / WAKE_NAME)
    pids, garbage = daemon.worker_pids(), [b"", b"\0" * 4096, b"ready", b"1 scheduled nan", os.urandom(300)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            for datagram in (*garbage, b"1 ready default", b"1 scheduled 0"):
                try:
                    sender.sendto(datagram, path)
                except BlockingIOError:
                    continue
    assert daemon.command("status").returncode == 0
    tasks.quick.enqueue(1)
    wait_for(daemon, "ran", 1)
    assert daemon.worker_pids() == pids
    assert not daemon.log_lines("Traceback|failed")
    daemon.assert_converged()


def test_the_socket_is_for_owner_and_group_and_goes_with_the_daemon(start_idle):
    daemon = start_idle(workers=1)
    mode = (daemon.runtime / WAKE_NAME).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    assert daemon.end() == 0
    assert not (daemon.runtime / WAKE_NAME).exists()


@pytest.mark.parametrize("gone", ["socket", "directory"])
def test_a_socket_that_was_removed_is_made_again_and_heard(start_idle, gone):
    daemon = start_idle(workers=1)
    (daemon.runtime / WAKE_NAME).unlink() if gone == "socket" else shutil.rmtree(daemon.runtime)
    wait_until((daemon.runtime / WAKE_NAME).is_socket, SLOW_MACHINE, f"made again; log:\n{daemon.log}")
    wait_until(lambda: len(daemon.log_lines("made again")) == 1, SLOW_MACHINE)
    tasks.quick.enqueue(1)
    wait_for(daemon, "ran", 1)


@needs_pooler
@pytest.mark.parametrize("is_direct", [False, True])
def test_through_a_transaction_pooler_the_way_to_listen_is_direct_or_none(start_idle, pooler, is_direct):
    given = {"HOST": pooler.host, "PORT": pooler.port} if is_direct else True
    daemon = start_idle(
        workers=2, is_found=False, through=pooler.listen_port, LISTEN=given, SLEEP=SELDOM if is_direct else 0.5
    )
    if is_direct:
        wait_until(lambda: listening() == 1, SLOW_MACHINE, f"one connection that listens; log:\n{daemon.log}")
    for number in range(3):
        tasks.quick.enqueue(number)
        wait_for(daemon, "ran", number + 1)
    told = daemon.log_lines("a pooler stands before it")
    assert len(told) == (0 if is_direct else 1), daemon.log
