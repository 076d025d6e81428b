"""More queues than one message holds figures of: what else a round of maintenance has found is heard all the same."""

from __future__ import annotations

import pytest

from bgtasks.models import CompletedTask, Queue
from bgtasksd.maintenance.bounding import MOST_QUEUES
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(("name", "least", "most"), [("q", MOST_QUEUES, MOST_QUEUES), ("щ" * 180, 50, 200)])
def test_figures_of_1500_queues_are_cut_and_cost_nothing_else(make_daemon, name, least, most):
    Queue.objects.bulk_create(Queue(name=f"{name}{number}") for number in range(1500))
    daemon = make_daemon(workers=1).start()
    task = tasks.hang()
    daemon.busy_worker("hang")
    waiting = tasks.quick.using(queue="z-last").enqueue(1)
    status = wait_until(lambda: _with_ready(daemon, "z-last"), SLOW_MACHINE, "figures of a queue with a ready task")
    assert least <= len(status["queues"]) <= most
    assert status["queues"] == sorted(status["queues"], key=lambda queue: queue["name"])
    assert status["queues_left_out"] == Queue.objects.count() - len(status["queues"])
    assert f"and {status['queues_left_out']:,} more" in daemon.command("status").stdout
    assert daemon.command("metrics").returncode == 0
    assert task.cancel()
    wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).exists(), SLOW_MACHINE, "the task cancelled")
    wait_until(lambda: CompletedTask.objects.filter(pk=waiting.id).exists(), SLOW_MACHINE)
    daemon.assert_converged()


def _with_ready(daemon, name):
    status = daemon.status()
    return status if any(queue["name"] == name and queue["ready"] for queue in status["queues"]) else None
