"""A worker whose batches come back full begins to look where it has come to; nobody's task waits for that."""

from __future__ import annotations

import pytest

from bgtasks.models import Task
from bgtasks.queue import claims, watermark
from bgtasks.queue.types import Claim, Result
from tests.contract.making import ago, claim, enqueued, holder, names, other, success
from tests.settings import VENDOR
from tests.waiting import wait_until


@pytest.fixture
def backlog() -> list[Claim]:
    """Forty tasks, the oldest of a minute ago; ten of them claimed, in full batches."""
    watermark.of("host:main:1:nonce").forget()
    for number in range(40):
        enqueued("tests.old", number, run_at=ago(60 - number))
    return [one for _ in range(watermark.FEWEST) for one in claim(2)]


def test_what_is_more_urgent_is_claimed_at_once(backlog: list[Claim]) -> None:
    enqueued("tests.urgent", priority=3, run_at=ago(3600))
    enqueued("tests.trifle", priority=-3, run_at=ago(3600))
    assert names(claim(3)) == ["tests.urgent", "tests.old", "tests.old"]


def test_another_queue_is_looked_at_from_its_beginning(backlog: list[Claim]) -> None:
    enqueued("tests.mail", queue="mail", run_at=ago(3600))
    assert names(claim(2)) == ["tests.mail", "tests.old"]


def test_what_was_committed_late_waits_for_a_second_at_most(backlog: list[Claim]) -> None:
    late = enqueued("tests.late", run_at=ago(3600))
    claimed = claim(2)
    if VENDOR != "sqlite":  # where nothing is left behind in the index, nothing is passed over
        assert names(claimed) == ["tests.old", "tests.old"]

    def comes() -> bool:
        claimed.extend(turn := claim(2))
        claims.give_back([one for one in turn if one.task_id != late.id], worker="another")
        return late.id in {one.task_id for one in claimed}

    wait_until(comes, within=5)


def test_what_was_committed_late_is_not_passed_over_where_nothing_else_is_left(backlog: list[Claim]) -> None:
    enqueued("tests.late", run_at=ago(3600))
    assert sorted(names(claim(40))) == ["tests.late"] + ["tests.old"] * 30


def test_what_a_worker_gives_back_is_its_next_again(backlog: list[Claim]) -> None:
    claim(10)
    claims.give_back(backlog[:1], worker="host:main:1:nonce")
    assert [one.task_id for one in claim(1)] == [backlog[0].task_id]


def test_what_goes_back_with_a_turn_is_next_again(backlog: list[Claim]) -> None:
    claim(10)
    outcomes = [success(backlog[1]), other(backlog[0], Result.RELEASED)]
    claims.turn(outcomes, 0, holder())
    assert [one.task_id for one in claim(1)] == [backlog[0].task_id]


def test_batch_by_batch_everything_comes_once_and_in_order(backlog: list[Claim]) -> None:
    for number in range(30):
        enqueued("tests.more", number, queue=f"queue{number % 3}", priority=number % 4, run_at=ago(30 - number))
    rows = Task.objects.filter(status=1).order_by("claim_order", "run_at", "id").values_list("id", flat=True)
    expected = list(rows)
    came = []
    while batch := claim(7):
        came += [one.task_id for one in batch]
    assert came == expected
