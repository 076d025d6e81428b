"""The checker of I6 finds what it is there for: each kind of broken promise, written into a ledger by hand."""

from __future__ import annotations

import pytest

from bgtasks.models import Status
from tests.invariants.runs import Ledger
from tests.invariants.tasks import Row, broken_in_runs

SUCCESS = Row(Status.SUCCESSFUL, attempts=1, crashes=0)


def line(event, at, pid=1, number=1, **facts):
    """Return one line of a ledger; claim and attempt are 1 unless said otherwise."""
    entry = {
        "event": event,
        "at": at,
        "pid": pid,
        "birth": 0,
        "number": number,
        "task": number,
        "claim": 1,
        "attempt": 1,
    }
    return {**entry, **facts}


def run(began, over, pid=1, **facts):
    """Return the two lines of a run that ended well; without `over` its end was never written."""
    lines = [line("began", began, pid, **facts)]
    return lines if over is None else [*lines, line("ended", over, pid, **facts)]


AGAIN = {"claim": 2, "attempt": 2}
RAN_TWICE = Row(Status.SUCCESSFUL, attempts=2, crashes=1)


@pytest.mark.parametrize(
    ("lines", "row"),
    [
        (run(1, 2), SUCCESS),
        ([*run(1, None), *run(3, 4, pid=2, **AGAIN)], RAN_TWICE),
        ([line("began", 1), line("raised", 2, error="ValueError"), *run(3, 4, **AGAIN)], Row(Status.SUCCESSFUL, 2, 0)),
        ([line("began", 1), line("raised", 2, error="TaskInterrupted"), *run(3, 4, claim=2)], SUCCESS),
        ([*run(1, 2), *run(3, 4, pid=2, **AGAIN)], RAN_TWICE),  # its worker died before the end was recorded
        (
            [*run(1, 2), *run(3, 4, pid=2, **AGAIN)],
            Row(Status.SUCCESSFUL, 2, 0, frozenset({1})),
        ),  # atomic: not committed
        (run(1, None), Row(Status.FAILED, 3, 3)),
    ],
)
def test_what_may_happen_is_not_complained_of(lines, row):
    assert broken_in_runs(Ledger(lines), {1: 1}, {1: row}) == []


@pytest.mark.parametrize(
    ("lines", "row", "text"),
    [
        (run(1, 2), None, "lost"),
        ([*run(1, 5), *run(3, 6, pid=2, **AGAIN)], RAN_TWICE, "in two processes at a time"),
        ([*run(1, None), *run(3, 4, pid=2, **AGAIN), *run(7, 8, number=2)], RAN_TWICE, "in two processes at a time"),
        ([*run(1, 2), *run(3, 4, pid=2, **AGAIN)], Row(Status.SUCCESSFUL, 2, 0), "and nobody died"),
        ([*run(1, 2), *run(3, None, pid=2, **AGAIN)], SUCCESS, "run again after its success"),
        ([*run(1, None), *run(3, 4, pid=2)], SUCCESS, "twice under one claim"),
        ([*run(1, None, attempt=2), *run(3, 4, pid=2, claim=2)], SUCCESS, "counted backwards"),
        (run(1, None), SUCCESS, "never ended well"),
        (run(1, 2), Row(Status.SUCCESSFUL, 3, 0), "its success was attempt 1"),
        (run(1, 2), Row(Status.FAILED, 1, 0), "failed although it succeeded"),
        (run(1, 2, number=3), SUCCESS, "never stored"),
        ([line("ended", 2)], SUCCESS, "which it did not begin"),
    ],
)
def test_a_broken_promise_is_found(lines, row, text):
    found = broken_in_runs(Ledger(lines), {1: 1, 2: 2}, {2: Row(Status.READY, 0, 0)} | ({1: row} if row else {}))
    assert any(text in each for each in found), found


def test_a_worker_takes_the_end_of_one_task_with_it_and_not_of_two():
    lines = [*run(1, 2), *run(3, 4, number=2), *run(5, 6, pid=2, **AGAIN), *run(7, 8, pid=2, number=2, **AGAIN)]
    (found,) = broken_in_runs(Ledger(lines), {1: 1, 2: 2}, {1: RAN_TWICE, 2: RAN_TWICE})
    assert "took the ends of 2 tasks with it: [1, 2]" in found
    assert not broken_in_runs(Ledger(lines), {1: 1, 2: 2}, {1: RAN_TWICE, 2: RAN_TWICE}, excused={(1, 0)})
