"""Running one claim: whatever a task does becomes an outcome, and nothing else."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.test import override_settings

from bgtasks.exceptions import (
    BackgroundTaskError,
    ClaimLost,
    InvalidTaskError,
    TaskCancelled,
    TaskInterrupted,
    TaskInterruption,
    TaskTimeout,
)
from bgtasks.execution import execute, outcome_of, run_time_limit
from bgtasks.execution.running import max_attempts
from bgtasks.queue.types import Result
from bgtasks.tasks import background
from tests.bgtasks.claims_for_tests import claim_for

CLAIM = claim_for("execution.any")


def run(function, *args, **options):
    """Execute the function as a task would be, without a database."""
    background(name="execution.any", **options)(function)
    return execute(claim_for("execution.any", *args))


class Odd(BaseException):
    """Neither an Exception nor one of ours."""


def raising(error):
    def function():
        raise error

    return function


def test_a_task_that_returns_has_succeeded():
    outcome = run(lambda a, b: a + b, 2, 3)
    assert (outcome.result, outcome.value, outcome.error, outcome.error_text) == (Result.SUCCESSFUL, 5, None, "")
    assert outcome.duration < 10


async def awaited():
    return 5


def generated():
    yield 5


def returning_a_coroutine():
    return awaited()


async def both():
    yield 5


@pytest.mark.parametrize("function", [awaited, functools.partial(awaited)])
def test_a_coroutine_function_is_run_to_its_end(function):
    outcome = run(function)
    assert (outcome.result, outcome.value) == (Result.SUCCESSFUL, 5)


@pytest.mark.parametrize("function", [generated, both, returning_a_coroutine])
def test_a_function_that_only_makes_what_would_run_it_fails_for_good(function):
    outcome = run(function)
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, InvalidTaskError)


def test_a_plain_function_may_return_a_generator():
    assert run(lambda: (number for number in (1, 2))).result is Result.SUCCESSFUL


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), SystemExit(), SystemExit(0), KeyboardInterrupt(), BaseException(), Odd(), GeneratorExit()],
)
def test_f06_whatever_a_task_raises_is_a_failed_attempt(error):
    outcome = run(raising(error))
    assert outcome.result is Result.RETRY
    assert outcome.error is error
    assert outcome.retry_in == 6
    assert type(error).__name__ in outcome.error_text


def test_f06_sys_exit_is_a_failed_attempt():
    outcome = run(sys.exit)
    assert (outcome.result, type(outcome.error)) == (Result.RETRY, SystemExit)


def test_the_traceback_begins_at_the_task_function():
    def inner():
        return 1 / 0

    def outer():
        return inner()

    text = run(outer).error_text
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.index("in outer") < text.index("in inner") < text.index("ZeroDivisionError: division by zero")
    assert "bgtasks/execution" not in text
    assert text.count("  File ") == 2


def test_wrong_arguments_are_a_failed_attempt():
    outcome = run(lambda: None, 1)
    assert (outcome.result, type(outcome.error)) == (Result.RETRY, TypeError)
    assert "bgtasks/execution" not in outcome.error_text


def test_arguments_that_cannot_be_decoded_are_a_failed_attempt():
    background(name="execution.any")(lambda: None)
    outcome = execute(claim_for("execution.any", task_params="{not json"))
    assert outcome.result is Result.RETRY


def test_a_name_that_nobody_registered_is_a_failed_attempt():
    outcome = execute(claim_for("execution.nobody"))
    assert (outcome.result, type(outcome.error)) == (Result.RETRY, BackgroundTaskError)
    assert "execution.nobody" in str(outcome.error)


def test_an_invalid_task_fails_for_good_at_its_first_attempt():
    class VeryInvalid(InvalidTaskError):
        pass

    assert run(raising(InvalidTaskError("never"))).result is Result.FAILED
    assert run(raising(VeryInvalid("never"))).result is Result.FAILED


def test_attempts_are_counted_to_the_end():
    failure = ValueError("no")
    assert outcome_of(failure, claim_for("x", attempts=24), max_attempts=25).result is Result.RETRY
    assert outcome_of(failure, claim_for("x", attempts=25), max_attempts=25).result is Result.FAILED
    assert outcome_of(failure, claim_for("x", attempts=1), max_attempts=0).result is Result.FAILED
    assert outcome_of(failure, claim_for("x", attempts=1), max_attempts=1).result is Result.FAILED


@pytest.mark.parametrize(
    ("interruption", "result"),
    [
        (TaskInterrupted(), Result.RELEASED),
        (TaskCancelled(), Result.CANCELLED),
        (ClaimLost(), Result.LOST),
        (TaskTimeout(), Result.RETRY),
    ],
)
def test_an_interruption_decides_also_when_clean_up_failed_after_it(interruption, result):
    def cleans_up_badly():
        try:
            raise interruption
        finally:
            raise OSError("the connection is closed")

    async def in_a_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(raising(interruption)))

    assert run(raising(interruption)).result is result
    assert run(cleans_up_badly).result is result
    assert run(lambda: asyncio.run(in_a_group())).result is result


def test_an_interruption_handled_before_does_not_decide_later():
    def function():
        try:
            raise TaskInterrupted
        except TaskInterruption:
            pass
        raise ValueError("later")

    assert run(function).result is Result.RETRY


def test_the_last_attempt_that_times_out_has_failed():
    assert outcome_of(TaskTimeout(), claim_for("x", attempts=3), max_attempts=3).result is Result.FAILED


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [(None, [6, 21, 86]), (7, [7, 7, 7]), (timedelta(minutes=1), [60, 60, 60]), ([1, 5], [1, 5, 5])],
)
def test_the_decorator_says_how_long_to_wait(backoff, delays):
    background(name="execution.backoff", backoff=backoff)(raising(ValueError("no")))
    found = [execute(claim_for("execution.backoff", attempts=attempts)).retry_in for attempts in (1, 2, 3)]
    assert found == delays


def test_the_setting_says_how_long_to_wait_when_the_decorator_does_not():
    with override_settings(BGTASKS={"BACKOFF": 3}):
        assert run(raising(ValueError("no"))).retry_in == 3
        assert run(raising(ValueError("no")), backoff=4).retry_in == 4


def test_a_backoff_function_sees_the_error_and_the_task_with_this_attempt():
    seen = []

    def backoff(error, task):
        seen.append((error, task.attempts, task.task_name, "ValueError: no" in task.last_error))
        return timedelta(seconds=2)

    error = ValueError("no")
    assert run(raising(error), backoff=backoff).retry_in == 2
    assert seen == [(error, 1, "execution.any", True)]


def test_a_backoff_function_may_end_the_retries():
    assert run(raising(ValueError("no")), backoff=lambda error, task: None).result is Result.FAILED


@pytest.mark.parametrize("backoff", [lambda error, task: 1 / 0, lambda error, task: "soon", lambda: 1])
def test_a_backoff_function_that_fails_leaves_the_default(backoff, caplog):
    outcome = run(raising(ValueError("no")), backoff=backoff)
    assert (outcome.result, outcome.retry_in) == (Result.RETRY, 6)
    assert "backoff function failed" in caplog.text


def test_limits_come_from_the_row_then_the_decorator_then_the_caller_or_the_settings():
    background(name="execution.limited", max_run_time=20, max_attempts=3)(lambda: None)
    background(name="execution.endless", max_run_time=None)(lambda: None)
    background(name="execution.plain")(lambda: None)
    assert run_time_limit(claim_for("execution.limited", max_run_time=5), otherwise=3600) == 5
    assert run_time_limit(claim_for("execution.limited", max_run_time=0), otherwise=3600) is None
    assert run_time_limit(claim_for("execution.limited"), otherwise=3600) == 20
    assert run_time_limit(claim_for("execution.endless"), otherwise=3600) is None
    assert run_time_limit(claim_for("execution.plain"), otherwise=3600) == 3600
    assert run_time_limit(claim_for("execution.plain"), otherwise=None) is None
    assert max_attempts(claim_for("execution.limited", max_attempts=7)) == 7
    assert max_attempts(claim_for("execution.limited")) == 3
    assert max_attempts(claim_for("execution.plain", max_attempts=0)) == 1
    with override_settings(BGTASKS={"MAX_ATTEMPTS": 0}):
        assert max_attempts(claim_for("execution.plain")) == 1
    with override_settings(MAX_ATTEMPTS=2):
        assert max_attempts(claim_for("execution.plain")) == 2


def test_settings_that_became_wrong_do_not_lose_the_outcome(caplog):
    with override_settings(BGTASKS={"MAX_ATTEMPTS": -1}):
        outcome = run(raising(ValueError("no")))
    assert (outcome.result, outcome.error_text[-15:].strip()) == (Result.RETRY, "ValueError: no")
    assert "settings in force cannot be read" in caplog.text


def test_an_exception_that_cannot_be_printed_is_still_an_outcome():
    class Hostile(Exception):
        def __str__(self):
            raise RuntimeError("not even that")

        @property
        def __notes__(self):
            raise RuntimeError("nor that")

    outcome = run(raising(Hostile()))
    assert outcome.result is Result.RETRY
    assert "Hostile" in outcome.error_text


def test_endless_recursion_is_a_failed_attempt():
    def down(depth):
        return down(depth + 1) + 1

    outcome = run(down, 0)
    assert type(outcome.error) is RecursionError
    assert len(outcome.error_text) < 10_000


def test_a_handler_that_the_task_left_behind_ends_in_the_outcome(monkeypatch):
    """A task's own SIGALRM handler fires when its function has returned already."""
    from bgtasks.execution import running

    def late(*args):
        raise TimeoutError("from the handler left behind")

    before = signal.signal(signal.SIGUSR1, late)
    try:
        really = running.Outcome
        monkeypatch.setattr(running, "_call", lambda *args: os.kill(os.getpid(), signal.SIGUSR1) or really(*args))
        outcome = run(lambda: None)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (outcome.result, type(outcome.error)) == (Result.RETRY, TimeoutError)


@pytest.mark.parametrize("leaves", ["return", "raise ValueError", "raise SystemExit(0)", "sys.exit()"])
def test_f20_a_copy_forked_by_a_task_never_comes_back(leaves):
    script = f"""if True:
        import os, sys
        import django
        django.setup()
        from bgtasks import background
        from bgtasks.execution import execute
        from tests.bgtasks.claims_for_tests import claim_for

        @background(name="forks")
        def forks():
            pid = os.fork()
            if pid == 0:
                {leaves}
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        outcome = execute(claim_for("forks"), 1)
        print(os.getpid(), outcome.value)
        """
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    found = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, check=True)
    assert [line.split()[1] for line in found.stdout.decode().splitlines()] == ["70"]


def test_executing_logs_nothing_by_itself(caplog):
    with caplog.at_level(logging.DEBUG, logger="bgtasks"):
        run(lambda: None)
        run(raising(ValueError("no")))
    assert caplog.records == []


def test_the_duration_is_that_of_the_function():
    assert 0.05 <= run(lambda: time.sleep(0.05)).duration < 10
