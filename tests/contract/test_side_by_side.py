"""Four workers' processes claim, settle, retry, give back and renew side by side: nobody is in another's way."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

from django.db import Error, connection

from bgtasks.models import CompletedTask, Task
from bgtasks.queue import claims
from bgtasks.queue.types import Outcome, Result
from tests.contract.making import enqueued, failure, holder, success
from tests.contract.test_plans import analyse
from tests.settings import VENDOR

TASKS = 400
IN_THE_WAY = {"mariadb": (1213, 1205), "postgres": (), "sqlite": ()}
"""Error numbers: InnoDB undid a transaction for a deadlock, or gave up waiting."""


def errors_of(action: Callable[[], None]) -> list[str]:
    """Return the database's errors that show others in the way, those included that a turn has overcome."""
    seen: list[str] = []

    def note(execute: Any, *details: Any) -> Any:
        try:
            return execute(*details)
        except Error as error:
            if error.args[:1][0] in IN_THE_WAY[VENDOR] or "deadlock" in str(error) or "locked" in str(error):
                seen.append(str(error))
            raise

    with connection.execute_wrapper(note):
        action()
    return seen


def work(number: int) -> None:
    """Turn by turn until nothing is left; of each batch some are given back, and some retried at once."""
    chance, worker = random.Random(number), holder(number)
    outcomes: list[Outcome] = []
    while True:
        claimed = claims.turn(outcomes, 50, worker).claims
        outcomes = []
        if not claimed and not Task.objects.exists():
            return
        kept = claimed[: chance.randint(1, 50)]
        claims.give_back(claimed[len(kept) :], worker=worker.name)
        claims.renew([holder(other).name for other in range(4)], 60.0)
        for one in kept:
            again = chance.random() < 0.1
            outcomes.append(failure(one, Result.RETRY, retry_in=0.0) if again else success(one))


def in_a_process(action: Callable[[], list[str]]) -> tuple[int, int]:
    """Run it in a fork; return its pid, and where to read what it returned."""
    connection.close()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        told = "\n".join(action())
    except BaseException as error:
        told = repr(error)
    os.write(writing, told.encode()[:60_000])
    os._exit(0)


def test_nobody_is_in_anothers_way_and_every_task_ends_once() -> None:
    analyse()  # of an empty table: the worst that statistics can say of the one to come
    ids = {enqueued("tests.one", number).id for number in range(TASKS)}
    children = [in_a_process(lambda number=number: errors_of(lambda: work(number))) for number in range(4)]
    told = []
    for pid, reading in children:
        with os.fdopen(reading) as pipe:
            told.append(pipe.read())
        os.waitpid(pid, 0)
    assert told == [""] * 4
    assert set(CompletedTask.objects.values_list("id", flat=True)) == ids
