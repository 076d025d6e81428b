"""What a worker's page says while it works, and which tasks maintenance finds to be slow there."""

from __future__ import annotations

import time

import pytest

from bgtasks.queue.types import Outcome, Result
from bgtasksd.scoreboard import Board, Record, WorkState
from bgtasksd.slow_tasks import AGAIN, PATIENCE, SlowTasks
from bgtasksd.zygote.reckoning import Reckoning
from tests.bgtasks.claims_for_tests import claim_for

NUMBER = 0xABC
NAME = f"host:main:1:{NUMBER:08x}"


class StillLine:
    """A line on which nobody speaks."""

    rests = 0

    def __init__(self, page):
        self.page = page
        self.reckoning = Reckoning(lambda kind, **fields: True)

    def descriptors(self):
        return ()

    def read(self):
        pass


@pytest.fixture
def board():
    made = Board(2)
    made.page(0).assign(1, 1, NUMBER)
    return made


@pytest.fixture
def observer(board):
    from bgtasksd.zygote.observer import SlotObserver

    return SlotObserver(StillLine(board.page(0)), 3600.0)


def over(result, task_id=7):
    claim = claim_for("tests.any", task_id=task_id)
    return claim, Outcome(claim, result, 0.25)


def test_a_success_stands_in_the_ring_until_it_is_written(board, observer):
    claim, outcome = over(Result.SUCCESSFUL)
    observer.started(claim, 1)
    assert board.page(0).read().has_task
    observer.finished(claim, outcome)
    assert not board.page(0).read().has_task
    assert [(entry.task_id, entry.token) for entry in board.page(0).finished()] == [(claim.task_id, claim.token)]
    observer.idle()
    assert len(board.page(0).finished()) == 1
    observer.settled([outcome])
    assert board.page(0).finished() == []


def test_what_cannot_stand_in_the_ring_is_held_by_the_record_until_it_is_written(board, observer):
    claim, outcome = over(Result.FAILED)
    observer.started(claim, 1)
    observer.finished(claim, outcome)
    before = board.page(0).read()
    observer.idle()  # the database is away
    held = board.page(0).read()
    assert (held.state, held.task_id, held.has_task) == (WorkState.FINISHING, claim.task_id, True)
    assert held.counter > before.counter
    observer.settled([over(Result.SUCCESSFUL, task_id=8)[1]])
    assert board.page(0).read().has_task
    observer.settled([outcome])
    assert board.page(0).read().state is WorkState.IDLE


def busy(board, since, sequence=5):
    board.page(0).write(Record(WorkState.BUSY, 1, sequence, 7, 4711, time.monotonic() - since, 0.0))


def test_a_task_is_slow_after_a_while_and_named_again_as_long_as_it_runs(board):
    slow = SlowTasks([board.page(0), board.page(1)])
    assert slow.found([NAME]) is None
    busy(board, PATIENCE / 2)
    assert slow.found([NAME]) == []
    busy(board, PATIENCE + 0.1)
    (found,) = slow.found([NAME])
    assert (found.worker, found.running) == (NAME, (7, 4711))
    assert slow.found([NAME]) == []
    slow.named = {key: at - AGAIN for key, at in slow.named.items()}
    assert len(slow.found([NAME])) == 1, "the database may have been away"
    busy(board, PATIENCE + 0.1, sequence=6)
    assert len(slow.found([NAME])) == 1, "another task"


def test_workers_of_others_and_the_dead_are_left_alone(board):
    slow = SlowTasks([board.page(0)])
    busy(board, PATIENCE + 0.1)
    assert not slow.found(["host:main:1:00000001"])
    board.page(0).bury()
    assert not slow.found([NAME])
