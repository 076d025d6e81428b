"""F76, and what a batch owes the others: deaths in the middle of one, slow tasks at the head of one."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
from django.db import transaction

from bgtasks.models import CompletedTask, Status, Task
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
PATIENCE = 60.0


def enqueue(first: int, count: int) -> list[int]:
    """Store that many quick tasks in one transaction; return their ids."""
    with transaction.atomic():
        return [tasks.stand.enqueue(number).pk for number in range(first, first + count)]


def runs(process) -> Counter[int]:
    """Return how often each number was run."""
    return Counter(entry["number"] for entry in process.ledger("ran"))


def obstacle(process, number):
    return process.ledger_file.with_name(f"stand-{number}")


def stopped_in_a_batch(daemon, first, before):
    """Let the only worker come to a task that stands, with `before` tasks ahead of it and 60 behind."""
    number = first + before
    obstacle(daemon, number).touch()
    enqueue(first, before + 61)
    wait_until(lambda: runs(daemon)[number], PATIENCE, "the task that stands")
    return number


@pytest.mark.parametrize("before", [1, 130, 303])
def test_f76_a_worker_killed_in_the_middle_of_a_batch_loses_and_repeats_nothing(make_daemon, before):
    daemon = make_daemon(workers=1).start()
    for attempt in range(1, 6):
        first = 1000 * attempt
        number = stopped_in_a_batch(daemon, first, before)
        os.kill(daemon.worker_pids()[0], signal.SIGKILL)
        obstacle(daemon, number).unlink()
        wait_until(lambda: not Task.objects.exists(), PATIENCE, "everything run")
        expected = {each: 1 + (each == number) for each in range(first, number + 61)}
        assert {each: count for each, count in runs(daemon).items() if each >= first} == expected
        over = CompletedTask.objects.succeeded().filter(task_params__contains=f"[[{number}]")
        assert [(one.attempts, one.crashes) for one in over] == [(2, 1)]
        if before == 1 or daemon.log_lines(r"reason=.* finished=\d+"):
            break  # else a slow machine has settled all of it before: nothing was in the ring
    else:
        pytest.fail(f"nothing was ever found in the ring; log:\n{daemon.log}")
    assert CompletedTask.objects.succeeded().exclude(attempts=1).count() == attempt
    daemon.assert_converged()


def test_f76_f77_a_batch_is_accounted_for_by_the_next_maintenance_if_that_died_as_well(make_daemon):
    daemon = make_daemon(workers=2).start()
    for attempt in range(1, 6):
        number = stopped_in_a_batch(daemon, 1000 * attempt, 303)
        victim = next(entry["pid"] for entry in daemon.ledger("ran") if entry["number"] == number)
        before = daemon.status()["maintenance"]["pid"]
        os.kill(before, signal.SIGKILL)
        os.kill(victim, signal.SIGKILL)  # while nobody is there to be told of it
        wait_until(
            lambda before=before: daemon.status()["maintenance"]["pid"] not in (before, None), PATIENCE, "another"
        )
        # The next one hears of the living now, as they change, but of the dead when it has booted.
        os.kill(next(pid for pid in daemon.worker_pids() if pid != victim), signal.SIGKILL)
        obstacle(daemon, number).unlink()
        wait_until(lambda: not Task.objects.exists(), PATIENCE, "everything run")
        assert max(count for each, count in runs(daemon).items() if each % 1000 != 303) <= 2
        assert sum(count > 1 for each, count in runs(daemon).items() if each % 1000 != 303) <= attempt, daemon.log
        wait_until(lambda: daemon.is_ready, PATIENCE, "ready again")
        if daemon.log_lines(r"reason=.* finished=\d+"):
            break
    else:
        pytest.fail(f"nothing was ever found in the ring; log:\n{daemon.log}")
    daemon.assert_converged()


def test_what_waits_behind_a_task_that_turns_out_slow_is_given_to_others_untouched(make_daemon):
    daemon = make_daemon(workers=2).start()
    for attempt in range(1, 6):
        first = 1000 * attempt
        number = stopped_in_a_batch(daemon, first, 303)
        behind = set(range(number + 1, number + 61))
        wait_until(lambda behind=behind: behind <= runs(daemon).keys(), PATIENCE, "what is behind it")
        wait_until(lambda: Task.objects.count() == 1, PATIENCE, "all but the one that stands")
        assert Task.objects.get().status == Status.RUNNING
        obstacle(daemon, number).unlink()
        wait_until(lambda: not Task.objects.exists(), PATIENCE, "everything run")
        if daemon.log_lines(r"gave back [1-9]\d* tasks behind task"):
            break  # else the other worker had claimed all that was behind it
    else:
        pytest.fail(f"nothing was ever given back; log:\n{daemon.log}")
    assert set(runs(daemon).values()) == {1}
    assert set(CompletedTask.objects.values_list("attempts", "crashes")) == {(1, 0)}
    daemon.assert_converged()


def test_a_stopped_daemon_leaves_its_batches_ready_and_uncharged(make_daemon):
    daemon = make_daemon(workers=1).start()
    number = stopped_in_a_batch(daemon, 0, 130)
    daemon.process.send_signal(signal.SIGTERM)
    obstacle(daemon, number).unlink()
    assert daemon.wait_for_end() == 0, daemon.log
    left = Task.objects.all()
    assert {(task.status, task.attempts, task.claim) for task in left} <= {(Status.READY, 0, None)}
    assert len(left) > 0
    assert CompletedTask.objects.succeeded().count() + len(left) == 191
    assert max(runs(daemon).values()) == 1


def test_f83_a_batch_of_a_killed_process_tasks_is_run_again_and_nobody_fails_for_it(make_foreground):
    first = make_foreground().start()
    number = stopped_in_a_batch(first, 0, 130)
    first.send(signal.SIGKILL)
    first.ended()
    obstacle(first, number).unlink()
    second = make_foreground().start()
    second.wait_until(lambda: not Task.objects.exists(), PATIENCE, "everything run")
    assert set(runs(first) + runs(second)) == set(range(191))
    assert CompletedTask.objects.succeeded().count() == 191
    assert set(CompletedTask.objects.values_list("crashes", flat=True)) <= {0, 1}
    assert set(runs(second).values()) == {1}
