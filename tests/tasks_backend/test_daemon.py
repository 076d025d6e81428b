"""Both doors side by side under a real daemon, with deaths and time limits."""

from __future__ import annotations

import pytest

api = pytest.importorskip("bgtasks.compat.django_tasks.api", exc_type=ImportError)

from tests.project.tasks import ping  # noqa: E402 - only where django.tasks is there
from tests.tasks_backend import tasks  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def test_one_worker_runs_both_doors_and_ends_a_coroutine_in_time(make_daemon) -> None:
    daemon = make_daemon(workers=1)
    results = [tasks.add.enqueue(n, n) for n in range(5)]
    ping.enqueue()
    slept, ended = tasks.later.enqueue(0.01), tasks.endless.enqueue()
    daemon.start()
    for n, result in enumerate(results):
        assert tasks.add.wait(result.id, timeout=60).return_value == {"sum": 2 * n}
    assert tasks.later.wait(slept.id, timeout=60).return_value == "slept"
    over = tasks.endless.wait(ended.id, timeout=60)
    assert [each.exception_class_path for each in over.errors] == ["bgtasks.exceptions.TaskTimeout"]
    assert len(over.worker_ids) == over.attempts == 1
    wait_until(lambda: daemon.status()["totals"]["done"] == 7, what="the other door's task, too")
