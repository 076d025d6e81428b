"""The context of a task: its attempt, its headers and whether it had better stop, by argument and from anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from bgtasks import TaskContext, background, current_context
from bgtasks.exceptions import TaskArgumentError, TaskCancelled
from bgtasks.execution import execute, interrupt
from bgtasks.queue.types import Result
from tests.bgtasks.claims_for_tests import claim_for

pytestmark = pytest.mark.timeout(method="thread")  # the other way is SIGALRM, which a test uses itself
sequences = itertools.count(2_000_000)
seen: list[Any] = []


@background(name="context.taking", takes_context=True)
def taking(context: TaskContext, number: int, *, note: str = "") -> list[Any]:
    return [context.task_id, context.attempt, context.headers, context.should_stop(), number, note]


@background(name="context.deep")
def deep() -> int | None:
    return _from_deep_inside()


def _from_deep_inside() -> int | None:
    return current_context().task_id


@background(name="context.coroutine", takes_context=True)
async def coroutine(context: TaskContext) -> list[Any]:
    beside = await asyncio.gather(asyncio.create_task(_in_a_coroutine()), sync_to_async(_from_deep_inside)())
    return [context.task_id, *beside]


async def _in_a_coroutine() -> int | None:
    await asyncio.sleep(0)
    return current_context().task_id


@background(name="context.stubborn", takes_context=True)
def stubborn(context: TaskContext) -> None:
    """Swallow what interrupts it, and tell before and after whether it is to stop."""
    seen.append(context.should_stop())
    with contextlib.suppress(TaskCancelled):
        time.sleep(60)
    seen.append(context.should_stop())


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


@pytest.fixture
def on_alarm() -> Iterator[Callable[[Any], object]]:
    before = signal.getsignal(signal.SIGALRM)
    yield lambda handler: signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def row(headers: str) -> dict[str, Any]:
    return {"task_name": "context.taking", "attempts": 3, "backend": "", "headers": headers}


def test_a_function_that_takes_its_context_is_given_it_before_its_arguments() -> None:
    outcome = execute(claim_for("context.taking", 5, attempts=3, row=row('{"request-id": "a1"}')))
    assert outcome.value == [17, 3, {"request-id": "a1"}, False, 5, ""]


@pytest.mark.parametrize("text", ["", "not JSON", "[1]"])
def test_headers_are_a_dictionary_whatever_stands_in_the_row(text: str) -> None:
    assert execute(claim_for("context.taking", 5, row=row(text))).value[2] == {}


def test_the_context_is_found_from_deep_inside_and_in_whatever_a_coroutine_awaits() -> None:
    assert execute(claim_for("context.deep")).value == 17
    assert execute(claim_for("context.coroutine")).value == [17, 17, 17]


def test_outside_of_a_task_there_is_a_context_that_wants_nothing() -> None:
    assert execute(claim_for("context.deep")).value == 17
    assert (current_context().task_id, current_context().headers, current_context().should_stop()) == (None, {}, False)
    assert taking.now(5, note="by hand") == [None, 1, {}, False, 5, "by hand"]


def test_the_function_must_have_a_place_for_it() -> None:
    with pytest.raises(TypeError, match=r"takes_context=True: its first parameter must be called 'context', not 'n'"):

        @background(takes_context=True)
        def misnamed(n: Any) -> None: ...


def test_a_wrong_argument_is_named_as_the_caller_knows_it() -> None:
    with pytest.raises(TaskArgumentError, match=r"argument 'number' cannot be stored"):
        taking.enqueue(object())  # type: ignore[arg-type]


def test_a_task_is_to_stop_when_its_worker_is_told_to_leave() -> None:
    leaving = [False, True]
    outcome = execute(claim_for("context.taking", 5, row=row("")), is_leaving=leaving.pop)
    assert outcome.value[3] is True


def test_a_task_that_swallows_its_interrupt_still_hears_of_it_and_the_next_one_does_not(
    on_alarm: Callable[[Any], object],
) -> None:
    sequence = next(sequences)
    on_alarm(lambda *_: interrupt(sequence, TaskCancelled))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    assert execute(claim_for("context.stubborn"), sequence).result is Result.SUCCESSFUL
    assert seen == [False, True]
    assert execute(claim_for("context.taking", 5, row=row("")), next(sequences)).value[3] is False
