"""Two daemons on one database: they share the work, and a task too long never runs in two places at a time."""

from __future__ import annotations

import itertools

import pytest

from bgtasks.models import CompletedTask, TaskAttempt
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_two_daemons_share_the_work(make_daemon):
    daemons = [make_daemon(name, workers=2).start() for name in ("one", "two")]
    for number in range(40):
        tasks.nap(0.1, number)
    wait_until(lambda: CompletedTask.objects.count() == 40, within=60)
    ran = [[entry["number"] for entry in daemon.ledger("ended")] for daemon in daemons]
    assert sorted([*ran[0], *ran[1]]) == list(range(40))
    assert min(len(numbers) for numbers in ran) >= 4
    for daemon in daemons:
        daemon.assert_converged()


def test_a_task_longer_than_its_limit_never_runs_on_two_daemons_at_a_time(make_daemon):
    daemons = [make_daemon(name, workers=2, BACKOFF=0).start() for name in ("one", "two")]
    task = tasks.nap.using(max_run_time=2, max_attempts=3).enqueue(5)
    completed = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), within=60)
    assert (completed.attempts, completed.crashes, completed.failed_at is None) == (3, 0, False)
    attempts = list(TaskAttempt.objects.filter(task_id=task.pk).order_by("attempt"))
    assert [attempt.exception for attempt in attempts] == ["bgtasks.exceptions.TaskTimeout"] * 3
    for earlier, later in itertools.pairwise(attempts):
        assert earlier.finished_at <= later.started_at
    starts = sorted(entry["at"] for daemon in daemons for entry in daemon.ledger("started"))
    assert len(starts) == 3
    assert all(later - earlier > 1.9 for earlier, later in itertools.pairwise(starts))
    assert not any(daemon.ledger("ended") for daemon in daemons)
