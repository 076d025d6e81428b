"""How many statements a turn costs on each database: as many for fifty tasks as for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from bgtasks.queue import claims, watermark
from bgtasks.queue.types import Claim
from tests.contract.making import claim, enqueued, holder, success
from tests.settings import VENDOR

BY = holder(77)
"""Nobody else's: no backlog, and no doubt, is left of an earlier test."""
# BEGIN and COMMIT are not among them but where Django sends BEGIN as a statement of its own (SQLite).
NOTHING_THERE = {"postgres": 1, "mariadb": 2, "sqlite": 2}
CLAIMED = {"postgres": 1, "mariadb": 4, "sqlite": 2}
SETTLED_AND_CLAIMED = {"postgres": 1, "mariadb": 7, "sqlite": 4}


@pytest.fixture(autouse=True)
def _no_backlog_before() -> None:
    watermark.of(BY.name).forget()


def statements_of(action: Callable[[], Any]) -> list[str]:
    """Return the statements that an action sends to the database."""
    seen: list[str] = []

    def note(execute: Any, sql: str, *details: Any) -> Any:
        seen.append(sql)
        return execute(sql, *details)

    with connection.execute_wrapper(note):
        action()
    return seen


@pytest.mark.parametrize("want", [1, 50, 200])
def test_a_turn_that_finds_nothing(want: int) -> None:
    claims.turn([], 1, BY)
    enqueued(run_at=None)
    claims.turn([success(one) for one in claim(1, BY)], 0, BY)
    seen = statements_of(lambda: claims.turn([], want, BY))
    assert len(seen) == NOTHING_THERE[VENDOR], "\n".join(seen)


@pytest.mark.parametrize("size", [2, 50, 200])
def test_a_batch_costs_as_many_statements_as_two_tasks(size: int) -> None:
    for number in range(2 * size + 10):
        enqueued("tests.one", number)
    claimed: list[Claim] = []
    seen = statements_of(lambda: claimed.extend(claim(size, BY)))
    assert len(seen) == CLAIMED[VENDOR], "\n".join(seen)
    outcomes = [success(one) for one in claimed]
    seen = statements_of(lambda: claims.turn(outcomes, size, BY))
    assert len(outcomes) == size
    assert len(seen) == SETTLED_AND_CLAIMED[VENDOR], "\n".join(seen)


def test_one_slow_task_after_the_other() -> None:
    for number in range(3):
        enqueued("tests.one", number)
    outcomes = [success(one) for one in claim(1, BY)]
    seen = statements_of(lambda: claims.turn(outcomes, 1, BY))
    assert len(seen) <= SETTLED_AND_CLAIMED[VENDOR], "\n".join(seen)


def test_what_maintenance_asks_of_an_idle_queue() -> None:
    rounds: dict[str, Callable[[], Any]] = {
        "stage": claims.stage,
        "next_due": claims.next_due,
        "renew": lambda: claims.renew([holder(number).name for number in range(8)], 60.0),
        "prune": lambda: (claims.forget_silent(), claims.prune_orphans(), claims.prune()),
    }
    most = {"stage": 3, "next_due": 1, "renew": 3, "prune": 8}
    begins = {"stage": 1, "next_due": 0, "renew": 1, "prune": 0} if VENDOR == "sqlite" else dict.fromkeys(most, 0)
    for name, action in rounds.items():
        action()
        seen = statements_of(action)
        assert len(seen) <= most[name] + begins[name], f"{name}:\n" + "\n".join(seen)


def test_renewing_costs_as_much_for_many_claims_and_workers_as_for_one() -> None:
    for number in range(40):
        enqueued("tests.one", number)
    held = [holder(number) for number in range(1, 5)]
    for worker in held:
        claim(10, worker)
    one = statements_of(lambda: claims.renew([held[0].name], 60.0))
    assert len(statements_of(lambda: claims.renew([worker.name for worker in held], 60.0))) == len(one)
