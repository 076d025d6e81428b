"""Waiting for the end of a task: who settles it wakes whoever waits, and nobody else; looking alone is enough."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
import time
from dataclasses import replace

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction

from bgtasks import waiting, waking
from bgtasks.execution import close_connections
from bgtasks.identity import this_process
from bgtasks.models import CompletedTask, Status, WorkerProcess
from bgtasks.queue import asking, claims
from bgtasks.queue.types import Death, Ending, Result
from bgtasks.waking import awaited, awaiting
from tests.contract.making import claim, claim_one, failure, holder, other, settle, success
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until
from tests.waking.conftest import SELDOM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place(tmp_path, look_in):
    look_in(tmp_path / "run")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _seldom(monkeypatch):
    """Let nobody look again by himself: what ends in time was heard."""
    monkeypatch.setattr(waiting, "FIRST_IF_HEARD", 3600)
    monkeypatch.setattr(waiting, "LONGEST_IF_HEARD", 3600)
    asking._asked.clear()


@pytest.fixture
def in_thread():
    """A function that calls another one in a thread with its own connections, and returns what waits for its result."""
    threads = []

    def start(call, *args):
        results = []

        def run():
            try:
                results.append(call(*args))
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)

        def result():
            thread.join(SLOW_MACHINE)
            assert results, "it has not returned"
            return results[0]

        return result

    yield start
    for thread in threads:
        thread.join(SLOW_MACHINE)


def is_heard(ear: waking.Ear) -> bool:
    try:
        return bool(ear.socket.recv(64))
    except BlockingIOError:
        return False


def atomically(claimed):
    with claims.atomic():
        claims.settle([success(claimed)])


def under_a_dead_worker(claimed):
    claims.cancel(claimed.task_id)
    claims.release(Death(holder().name, Ending.CRASHED, "gone", running=(claimed.task_id, claimed.token)))


def written_down(claimed):
    claims.release(Death(holder().name, Ending.CRASHED, "gone", finished=((claimed.task_id, claimed.token, 0.1),)))


ENDS = {
    "success": lambda claimed: settle(success(claimed)),
    "failure": lambda claimed: settle(failure(claimed, Result.FAILED)),
    "cancelled": lambda claimed: settle(other(claimed, Result.CANCELLED)),
    "in its own transaction": atomically,
    "cancelled under a dead worker": under_a_dead_worker,
    "written down for a dead worker": written_down,
}


@pytest.mark.parametrize("how", ENDS)
def test_every_end_of_a_claimed_task_wakes_who_waits_for_it_and_nobody_else(place, how):
    task, neighbour = tasks.quick.enqueue(1), tasks.quick.enqueue(2)
    mine = next(each for each in claim(2) if each.task_id == task.pk)
    with waking.Ear(task.pk) as ear, waking.Ear(neighbour.pk) as other_ear:
        assert not is_heard(ear)
        ENDS[how](mine)
        assert is_heard(ear)
        assert not is_heard(other_ear)
    assert list(place.iterdir()) == []


def test_a_retry_is_no_end_and_a_rollback_none_either(place):
    task = tasks.quick.enqueue(1)
    with waking.Ear(task.pk) as ear:
        settle(failure(claim_one(), retry_in=0))
        claimed = claim_one()
        with transaction.atomic():
            claims.settle([success(claimed)])
            transaction.set_rollback(True)
        assert not is_heard(ear)
        settle(success(claimed))
        assert is_heard(ear)


def test_cancelling_a_waiting_task_wakes_with_the_commit(place):
    task = tasks.quick.enqueue(1)
    with waking.Ear(task.pk) as ear:
        with transaction.atomic():
            assert task.cancel()
            assert not is_heard(ear)
        assert is_heard(ear)


def test_all_who_wait_for_one_task_are_woken_also_those_that_came_right_after_a_look(place):
    task = tasks.quick.enqueue(1)
    claimed = claim_one()
    awaited.tell([task.pk])  # the directory is known from here on
    with waking.Ear(task.pk) as one, waking.Ear(task.pk) as two:
        settle(success(claimed))
        assert is_heard(one)
        assert is_heard(two)


def test_with_nobody_waiting_the_directory_is_not_read_again(place, monkeypatch):
    (place / "over-1-abc.txt").touch()
    os.utime(place, (1_000_000_000, 1_000_000_000))
    reads = []
    monkeypatch.setattr(awaited, "_listed", lambda place: reads.append(place) or ({}, 0.0))
    for _ in range(100):
        awaited.tell([1, 2, 3])
    assert len(reads) == 1
    (place / "over-2-abc.sock").touch()
    awaited.tell([1, 2, 3])
    assert len(reads) == 2


@pytest.mark.parametrize(
    "name", ["over-1.sock", "over--1-a.sock", "over-x-1.sock", "over-1-a.sock", "over-\xb2-a.sock"]
)
def test_what_is_no_socket_of_a_wait_is_no_trouble(place, name):
    (place / name).touch()
    awaited.tell([1])


def test_what_was_left_over_is_removed(place, monkeypatch):
    monkeypatch.setattr(awaiting, "_cleared", set())
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(str(place / "over-5-abc.sock"))
    left.close()
    with waking.Ear(6) as ear:
        assert [each.name for each in place.iterdir()] == [ear.path.name]


def test_wait_returns_the_completed_task_as_soon_as_it_is_over(place, in_thread):
    task = tasks.quick.enqueue(1)
    claimed = claim_one()
    result = in_thread(tasks.quick.wait, task.pk, SLOW_MACHINE)
    wait_until(lambda: list(place.iterdir()), SLOW_MACHINE, "somebody who waits")
    settle(success(claimed))
    assert (result().pk, result().outcome) == (task.pk, Status.SUCCESSFUL)
    assert list(place.iterdir()) == []


def test_coroutines_wait_side_by_side(place):
    ids = [tasks.quick.enqueue(number).pk for number in range(20)]
    claimed = claim(20)

    async def wait_for_all():
        waits = asyncio.gather(*(tasks.quick.await_(task_id, SLOW_MACHINE) for task_id in ids))
        deadline = time.monotonic() + SLOW_MACHINE
        while len(list(place.iterdir())) < 20 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(settle_all)
        found = await waits
        await sync_to_async(close_connections)()
        return found

    def settle_all():
        try:
            claims.turn([success(one) for one in claimed], 0, holder())
        finally:
            connection.close()

    assert [each.pk for each in asyncio.run(wait_for_all())] == ids


@pytest.mark.parametrize("why", ["off", "nowhere"])
def test_without_a_socket_looking_is_enough(place, why, in_thread, settings, look_in, tmp_path):
    if why == "off":
        settings.BGTASKS = {"WAKE": False}
    else:
        (tmp_path / "file").touch()
        look_in(tmp_path / "file")
    task = tasks.quick.enqueue(1)
    claimed = claim_one()
    result = in_thread(tasks.quick.wait, task.pk, SLOW_MACHINE)
    settle(success(claimed))
    assert result().pk == task.pk
    assert list(place.iterdir()) == []


def test_what_is_over_is_returned_at_once_and_what_is_not_in_time_raises(place):
    task = tasks.quick.enqueue(1)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"task {task.pk} is not over after 0.1 s"):
        tasks.quick.wait(task.pk, 0.1)
    assert time.monotonic() - began >= 0.1
    settle(success(claim_one()))
    assert tasks.quick.wait(task.pk, 0) == CompletedTask.objects.get()


def test_an_unknown_task_and_another_ones_raise(place):
    task = tasks.quick.enqueue(1)
    settle(success(claim_one()))
    with pytest.raises(LookupError, match=r"is a tests.lifecycle.tasks.quick, not a "):
        tasks.hang.wait(task.pk, 1)
    with pytest.raises(LookupError, match=r"unknown here"):
        tasks.quick.wait(4711, 1)


def test_other_hosts_are_told_for_as_long_as_they_have_asked(place):
    assert not awaited.tell([1])
    for seconds, is_told in ((10, True), (1e6, True), (-5, False)):
        awaited.note_elsewhere(str(place), seconds)
        assert awaited.tell([1]) is is_told
        assert len(list(place.iterdir())) == 1
    (place / "elsewhere-999999999999").touch()  # left by a machine that ran for longer before it was started anew
    assert not awaited.tell([1])
    awaited.note_elsewhere(str(place / "nowhere"), 10)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="it alone can notify")
@pytest.mark.parametrize("others", [True, False])
def test_who_waits_asks_other_hosts_once_in_a_while_if_there_are_any(place, others, monkeypatch):
    notices = []
    monkeypatch.setitem(waking.NOTIFIERS, "postgresql", lambda connection, text: notices.append(waking.parse(text)))
    claims.register(WorkerProcess(name="w", host="elsewhere" if others else this_process().host, pid=1))
    task = tasks.quick.enqueue(1)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            tasks.quick.wait(task.pk, 0.01)
    assert [each.seconds for each in notices if each.kind == waking.AWAITED] == ([asking.FOR] if others else [])
    awaited.note_elsewhere(str(place), 10)
    settle(success(claim_one()))
    assert [each.ids for each in notices if each.kind == waking.OVER] == [(task.pk,)]


@pytest.mark.processes
@pytest.mark.skipif(connection.vendor != "postgresql", reason="it alone can notify")
def test_another_host_tells_by_way_of_the_database(make_daemon, look_in, monkeypatch):
    here, there = (make_daemon(name, workers=1, SLEEP=SELDOM).start("--queue", name) for name in ("here", "there"))
    look_in(here.runtime)
    monkeypatch.setattr(asking, "this_process", lambda: replace(this_process(), host="here"))
    task = tasks.nap.using(queue="there").enqueue(2)
    there.busy_worker("nap")
    assert tasks.nap.wait(task.pk, SLOW_MACHINE).outcome == Status.SUCCESSFUL


@pytest.mark.processes
def test_a_real_worker_wakes_who_waits(start_idle):
    start_idle(workers=2)
    for number in range(5):
        assert tasks.quick.wait(tasks.quick.enqueue(number).pk, SLOW_MACHINE).outcome == Status.SUCCESSFUL


@pytest.mark.processes
def test_so_does_a_foreground_worker(make_foreground, look_in):
    process = make_foreground()
    look_in(process.directory / "run")
    process.start()
    assert tasks.quick.wait(tasks.quick.enqueue(1).pk, SLOW_MACHINE).outcome == Status.SUCCESSFUL


def test_many_that_begin_to_wait_at_once_leave_the_umask_alone(place):
    umask = os.umask(0o077)
    modes = []

    def begin():
        for number in range(50):
            with awaiting.Ear(number) as ear:
                modes.append(stat.S_IMODE(ear.path.stat().st_mode))

    try:
        threads = [threading.Thread(target=begin) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SLOW_MACHINE)
    finally:
        left = os.umask(umask)
    assert (left, modes) == (0o077, [0o660] * 200)
