"""Interrupts: raised in the task they name, or not at all (F79)."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import sys
import time
from types import SimpleNamespace

import pytest

from bgtasks.exceptions import TaskCancelled, TaskInterrupted, TaskInterruption, TaskTimeout
from bgtasks.execution import body, execute, interrupt
from bgtasks.queue.types import Result
from bgtasks.tasks import background
from tests.bgtasks.claims_for_tests import claim_for

pytestmark = pytest.mark.timeout(method="thread")  # the other way is SIGALRM, which these tests use themselves
sequences = itertools.count(1_000_000)


@background(name="interrupts.spin")
def spin(seconds):
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        pass


@background(name="interrupts.swallow")
def swallow(times):
    for _ in range(times):
        with contextlib.suppress(TaskInterruption):
            time.sleep(60)
    return times


@background(name="interrupts.nothing")
def nothing():
    pass


@pytest.fixture
def on_alarm():
    """Set what SIGALRM does; afterwards all is as before."""
    before = signal.getsignal(signal.SIGALRM)

    def set_handler(handler):
        signal.signal(signal.SIGALRM, handler)

    yield set_handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_f79_10_000_interrupts_around_the_end_of_a_task_hit_it_or_nothing(on_alarm):
    running = SimpleNamespace(sequence=0)
    on_alarm(lambda *_: interrupt_and_be_back(running))
    random.seed(79)
    results = {Result.SUCCESSFUL: 0, Result.RETRY: 0}
    for _ in range(10_000):
        running.sequence = next(sequences)
        claim = claim_for("interrupts.spin", 0.00015)
        # It fires once around the end of the task, and again and again while the outcome is made and looked at.
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.0003))
        outcome = execute(claim, running.sequence)
        assert outcome.result in results, outcome
        assert outcome.error is None or type(outcome.error) is TaskTimeout
        results[outcome.result] += 1
        running.sequence = 0
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert min(results.values()) > 100, results


def interrupt_and_be_back(running):
    """Interrupt, and set the timer anew: one of its own could be faster than a slow machine's handler."""
    try:
        interrupt(running.sequence, TaskTimeout)
    finally:
        if running.sequence:
            signal.setitimer(signal.ITIMER_REAL, 0.00003)


def test_f79_an_interrupt_before_every_single_instruction_of_execute_is_contained():
    """The same exhaustively: a signal handler runs between instructions, and here it runs before each in turn."""
    seen = set()
    for at in itertools.count(1):
        sequence, claim = next(sequences), claim_for("interrupts.nothing")
        fired = _interrupt_before_instruction(at, sequence)
        try:
            outcome = execute(claim, sequence)
        finally:
            sys.settrace(None)
        if not fired:
            break
        seen.add(outcome.result)
        assert outcome.result in (Result.SUCCESSFUL, Result.RELEASED), (at, fired, outcome)
        if fired[0] in ("_body", "nothing"):
            assert outcome.result is Result.RELEASED
    assert at > 50
    assert seen == {Result.SUCCESSFUL, Result.RELEASED}


def _interrupt_before_instruction(number, sequence):
    """Call `interrupt` before the given instruction executed from now on, in any frame; return where, once it has."""
    count, fired = 0, []

    def trace(frame, event, argument):
        nonlocal count
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_code.co_name != "interrupt" and "settrace" not in frame.f_code.co_names:
            count += 1
            if count == number:
                sys.settrace(None)
                fired.append(frame.f_code.co_name)
                interrupt(sequence, TaskInterrupted)
        return trace

    sys.settrace(trace)
    return fired


def test_an_interrupt_is_repeated_when_the_task_swallows_the_first(on_alarm):
    sequence = next(sequences)
    on_alarm(lambda *_: interrupt(sequence, TaskTimeout))
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    assert execute(claim_for("interrupts.swallow", 5), sequence).value == 5


def test_an_interrupt_that_comes_before_the_function_has_begun_is_raised_at_its_start():
    sequence = next(sequences)
    interrupt(sequence, TaskCancelled)
    assert execute(claim_for("interrupts.nothing"), sequence).result is Result.CANCELLED


def test_an_interrupt_for_another_task_is_void(on_alarm):
    other = next(sequences)
    on_alarm(lambda *_: interrupt(other, TaskTimeout))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    assert execute(claim_for("interrupts.spin", 0.05), next(sequences)).result is Result.SUCCESSFUL


def test_a_task_without_a_sequence_cannot_be_interrupted(on_alarm):
    on_alarm(lambda *_: interrupt(0, TaskTimeout))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    assert execute(claim_for("interrupts.spin", 0.05)).result is Result.SUCCESSFUL


def test_a_function_written_in_c_can_be_interrupted(on_alarm):
    background(name="interrupts.sleep")(time.sleep)
    sequence = next(sequences)
    on_alarm(lambda *_: interrupt(sequence, TaskTimeout))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    outcome = execute(claim_for("interrupts.sleep", 30), sequence)
    assert type(outcome.error) is TaskTimeout


def test_the_innermost_of_two_running_tasks_does_not_hide_the_outer_one(on_alarm):
    outer = next(sequences)

    @background(name="interrupts.outer")
    def runs_another():
        execute(claim_for("interrupts.spin", 30), next(sequences))

    on_alarm(lambda *_: interrupt(outer, TaskTimeout))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.05)
    started_at = time.monotonic()
    outcome = execute(claim_for("interrupts.outer"), outer)
    assert time.monotonic() - started_at < 20
    assert outcome.result in (Result.SUCCESSFUL, Result.RETRY)  # the inner execution may have taken it as its own


def test_nobody_is_on_the_stack_when_nothing_runs():
    interrupt(next(sequences), TaskTimeout)
    assert body._is_on_the_stack(1) is False
