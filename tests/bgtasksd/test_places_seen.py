"""What the pages of a worker say that runs tasks side by side: a record for each, an order beside it."""

from __future__ import annotations

import time

import pytest

from bgtasks.queue.types import Outcome, Result
from bgtasksd.scoreboard import Board, Page, Pages, Places, Reason, Record, WorkState, claims_on, pages_of
from bgtasksd.slow_tasks import PATIENCE, SlowTasks
from tests.bgtasks.claims_for_tests import claim_for
from tests.bgtasksd.test_slots_seen import StillLine

NUMBER = 0xABC
NAME = f"host:main:1:{NUMBER:08x}"
COUNT = 20


@pytest.fixture
def board():
    """A board on which one worker has its places."""
    made = Board(1 + pages_of(COUNT))
    made.page(0).assign(1, 1, NUMBER, made.places([1, 2], COUNT))
    return made


@pytest.fixture
def theirs(board):
    """The same pages as the worker sees them."""
    page = Page.open(board.descriptor, 0)
    page.places = Places([Page.open(board.descriptor, index) for index in (1, 2)], COUNT)
    return page


@pytest.fixture
def observer(theirs):
    from bgtasksd.zygote.places_observer import PlacesObserver

    return PlacesObserver(StillLine(theirs), 3600.0)


def claims(count):
    return [claim_for("tests.any", task_id=100 + number, token=1000 + number) for number in range(count)]


def start(observer, count):
    started = claims(count)
    for claim in started:
        observer.started(claim, claim.task_id)
    return started


def test_a_single_place_needs_no_page_and_eighteen_fill_one():
    assert [pages_of(count) for count in (1, 2, 18, 19, 100, 1000)] == [0, 1, 1, 2, 6, 56]


def test_each_running_task_is_seen_by_its_supervisor_and_by_maintenance(board, observer):
    start(observer, COUNT)
    page = board.page(0)
    assert sorted(task.task_id for task in page.running()) == list(range(100, 120))
    assert (page.read().state, page.read().token) == (WorkState.BUSY, 0)
    assert claims_on(Pages(board.descriptor)) == {(100 + number, 1000 + number) for number in range(COUNT)}
    page.bury()
    assert claims_on(Pages(board.descriptor)) == set()


def test_a_success_stands_in_the_ring_and_anything_else_in_its_place_until_it_is_written(board, observer):
    first, second, third = start(observer, 3)
    success, failure = Outcome(first, Result.SUCCESSFUL, 0.1), Outcome(second, Result.FAILED, 0.1)
    observer.finished(first, success)
    observer.finished(second, failure)
    page = board.page(0)
    assert [entry.task_id for entry in page.finished()] == [first.task_id]
    assert {task.task_id for task in page.tasks()} == {second.task_id, third.task_id}
    assert [task.task_id for task in page.running()] == [third.task_id]
    observer.settled([success, failure])
    assert page.finished() == []
    assert [task.task_id for task in page.tasks()] == [third.task_id]
    assert (page.read().state, page.read().done, page.read().failed) == (WorkState.BUSY, 1, 1)
    observer.finished(third, Outcome(third, Result.CANCELLED, 0.1))
    assert page.read().state is WorkState.FINISHING
    observer.settled([Outcome(third, Result.CANCELLED, 0.1)])
    assert page.read().state is WorkState.IDLE
    assert len(observer.free) == COUNT


def test_an_order_is_for_one_task_is_heard_once_and_again_when_it_is_repeated(board, theirs, observer):
    start(observer, COUNT)
    page = board.page(0)
    page.give_order(117, Reason.CANCELLED)
    page.give_order(103, Reason.TIME_LIMIT)
    assert sorted(theirs.orders()) == [(103, Reason.TIME_LIMIT), (117, Reason.CANCELLED)]
    assert list(theirs.orders()) == []
    page.give_order(117, Reason.CANCELLED)
    page.give_order(999, Reason.STOP)
    assert list(theirs.orders()) == [(117, Reason.CANCELLED)]


def test_a_task_that_takes_long_is_noticed_and_nothing_is_taken_from_behind_it(board, observer):
    start(observer, 3)
    slow = SlowTasks(Pages(board.descriptor))
    assert slow.found([NAME]) == []
    assert not slow.are_there
    place, record = observer.held[101]
    observer.places.write(place, record._replace(started_at=time.monotonic() - PATIENCE))
    assert slow.found([NAME]) == []
    assert slow.are_there
    assert slow.found([]) is None


def test_pages_of_places_are_cleared_for_the_next_worker(board, observer):
    start(observer, COUNT)
    board.page(0).assign(1, 1, NUMBER + 1, board.places([1, 2], COUNT))
    assert board.page(0).tasks() == []
    assert board.page(1).read() == Record()
