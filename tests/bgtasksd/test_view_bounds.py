"""An answer to `status` fits what clients read, however many coroutines run in however many workers."""

from __future__ import annotations

import pytest

from bgtasksd.scoreboard import Record, WorkState
from bgtasksd.supervisor.slots import Slot
from bgtasksd.supervisor.viewing import Viewing


@pytest.mark.parametrize(("workers", "told"), [(1, 100), (30, 100), (120, 25), (4000, 1)])
def test_the_tasks_told_of_a_worker_are_fewer_the_more_workers_there_are(situation, workers, told):
    situation.slots.all = [Slot(number, None) for number in range(1, workers + 1)]
    running = [Record(WorkState.BUSY, 1, number, 1, 1, 1.0, 0.0, 0, 0, 0, 0, "shop.tasks.x") for number in range(200)]
    assert len(Viewing(situation, None)._tasks(running)) == told
