"""The shared pages: whole records at any moment, orders, the ring; one worker's page is out of another's reach."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from bgtasksd.children.fork import fork
from bgtasksd.scoreboard import (
    Board,
    Finished,
    Page,
    Pages,
    Reason,
    Record,
    WorkState,
    are_all_busy,
    claims_on,
    open_pages,
)
from bgtasksd.scoreboard.layout import HEAD_WORD, RING_ENTRIES, TAIL_WORD


@pytest.fixture
def board():
    board = Board(3)
    yield board
    os.close(board.descriptor)


def test_what_a_worker_writes_is_read_back_whole(board):
    record = Record(WorkState.BUSY, 7, 3, 48214, 2**62 + 1, 12.5, 15.5, 812, 3, 2, 1, "shop.tasks.import_orders")
    Page.open(board.descriptor, 1).write(record)
    assert board.page(1).read() == record
    assert board.page(0).read() == Record()


def test_a_name_longer_than_its_place_is_cut(board):
    board.page(0).write(Record(WorkState.BUSY, task_name="ä" * 60))
    assert board.page(0).read().task_name.startswith("ä" * 31)


def test_an_order_names_its_task_and_reason(board):
    assert board.page(0).order() is None
    board.page(0).give_order(2**40, Reason.CANCELLED)
    assert Page.open(board.descriptor, 0).order() == (2**40, Reason.CANCELLED)


def test_what_living_workers_hold_is_seen_from_another_mapping(board):
    board.page(1).assign(1, 1, 5)
    board.page(1).write(Record(WorkState.FINISHING, task_id=7, token=8))
    pages = open_pages(board.descriptor)
    assert claims_on(pages) == {(7, 8)}
    board.page(1).bury()
    assert claims_on(pages) == set()


def test_all_are_busy_if_every_living_worker_is_and_there_is_one(board):
    pages = open_pages(board.descriptor)
    assert not are_all_busy(pages)
    for index, state in ((0, WorkState.BUSY), (1, WorkState.FINISHING)):
        board.page(index).assign(index, 1, index)
        board.page(index).write(Record(state))
    assert not are_all_busy(pages)
    board.page(1).write(Record(WorkState.BUSY))
    assert are_all_busy(pages)
    board.page(1).write(Record(WorkState.IDLE))
    board.page(1).bury()
    assert are_all_busy(pages)


def test_a_board_that_grows_keeps_its_pages_and_is_seen_whole_by_who_looked_before(board):
    seen = Pages(board.descriptor)
    board.page(1).assign(1, 1, 5)
    board.page(1).write(Record(WorkState.BUSY, task_id=7, token=8))
    assert claims_on(seen) == {(7, 8)}
    board.reserve(130)
    assert len({board.take() for _ in range(130)}) == 130
    board.page(129).assign(65, 1, 6)
    board.page(129).write(Record(WorkState.BUSY, task_id=9, token=10))
    assert claims_on(seen) == {(7, 8), (9, 10)}
    board.reserve(3)
    assert board.page(1).read().task_id == 7


def test_a_hold_is_heard_when_the_worker_rests_and_an_older_one_counts_for_nothing(board):
    mine, theirs = board.page(0), Page.open(board.descriptor, 0)
    mine.hold()
    assert theirs.is_held
    assert not mine.has_heard_hold
    theirs.hear_hold()
    assert mine.has_heard_hold
    mine.let_go()
    assert not theirs.is_held
    mine.hold()
    assert not mine.has_heard_hold


def test_assigning_a_page_forgets_the_worker_before(board):
    page = board.page(0)
    page.write(Record(WorkState.BUSY, sequence=4))
    page.give_order(4, Reason.STOP)
    page.assign(slot=2, generation=1, worker_id=99)
    assert (page.read(), page.order(), page.is_alive, page.worker_id) == (Record(), None, True, 99)
    page.bury()
    assert not page.is_alive


def test_the_ring_holds_64_tasks_and_gives_them_back_in_order(board):
    page = board.page(0)
    entries = [Finished(number, number + 1, 1.0, 0.25) for number in range(1, 101)]
    assert [page.push(entry) for entry in entries[:65]] == [True] * 64 + [False]
    page.discard(60)
    assert all(page.push(entry) for entry in entries[64:100])
    assert page.finished() == entries[60:100][:4] + entries[64:100]


def test_a_page_spoiled_by_a_task_reads_as_nothing(board):
    page = board.page(0)
    page._bytes[64:448] = b"\xff" * 384
    assert page.read() == Record()
    page._words[HEAD_WORD], page._words[TAIL_WORD] = 2**63, 5
    assert len(page.finished()) == RING_ENTRIES


@pytest.mark.processes
@pytest.mark.parametrize("kills", [100, pytest.param(10_000, marks=pytest.mark.soak)])
def test_f80_a_record_is_whole_however_its_writer_is_killed(board, one_thread, kills):
    """Each field of a record holds the same number, so a mixture would show."""
    for _ in range(kills):
        pid = fork(lambda mask: _write_for_ever(board.descriptor))
        page = board.page(0)
        deadline = time.monotonic() + random.uniform(0.001, 0.004)
        while time.monotonic() < deadline:
            _assert_whole(page.read())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        _assert_whole(page.read())


def _write_for_ever(descriptor):
    page, number = Page.open(descriptor, 0), 0
    while True:
        number += 1
        page.write(Record(WorkState.BUSY, *[number] * 4, float(number), float(number), *[number] * 4, str(number)))


def _assert_whole(record):
    if record != Record():
        number = record.counter
        assert record == Record(WorkState.BUSY, *[number] * 4, float(number), float(number), *[number] * 4, str(number))
