"""Both doors side by side under a real daemon, with deaths and time limits."""

from __future__ import annotations

import pytest

api = pytest.importorskip("bgtasks.compat.django_tasks.api", exc_type=ImportError)

from bgtasks.models import Task  # noqa: E402
from tests.project.tasks import ping  # noqa: E402 - only where django.tasks is there
from tests.tasks_backend import broken, tasks  # noqa: E402
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


def test_a_running_task_that_is_cancelled_has_one_error_for_its_one_attempt(make_daemon) -> None:
    daemon = make_daemon(workers=1)
    result = tasks.later.enqueue(3600)
    daemon.start()
    daemon.busy_worker("later")
    assert tasks.later.cancel(result.id)
    over = tasks.later.wait(result.id, timeout=60)
    assert [each.exception_class_path for each in over.errors] == ["bgtasks.exceptions.TaskCancelled"]
    assert over.attempts == 1


def test_a_module_that_raises_anything_makes_its_tasks_unknown_and_ends_no_worker(make_daemon) -> None:
    daemon = make_daemon(workers=1)
    left, done = broken.charge.enqueue(), tasks.add.enqueue(1, 2)
    daemon.start()
    (pid,) = daemon.worker_pids()
    assert tasks.add.wait(done.id, timeout=60).return_value == {"sum": 3}
    assert daemon.worker_pids() == [pid]
    assert broken.charge.get_result(left.id).attempts == 0
    assert len(daemon.log_lines("name=tests.tasks_backend.broken.charge cannot be imported here")) == 1
    assert daemon.log_lines("KeyError: 'A_KEY_THAT_IS_NOT_THERE'")
    assert len(daemon.log_lines("unknown_task|left for a process that knows it")) == 1


def test_a_row_that_cannot_be_shown_ends_no_worker_either(make_daemon) -> None:
    daemon = make_daemon(workers=1)
    odd, done = tasks.add.using(priority=5).enqueue(1, 1), tasks.add.enqueue(1, 2)
    Task.objects.filter(pk=int(odd.id[1:])).update(task_params="garbage", attempts=1)
    daemon.start()
    (pid,) = daemon.worker_pids()
    assert tasks.add.wait(done.id, timeout=60).return_value == {"sum": 3}
    assert daemon.worker_pids() == [pid]
    assert daemon.log_lines(f"task={odd.id[1:]} its signals were not sent: JSONDecodeError")
