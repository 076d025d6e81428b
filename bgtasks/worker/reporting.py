"""The worker's log: one line a task, a failure with its traceback from the task function down, and what tasks left."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any

from django.conf import settings

from bgtasks import conf, output
from bgtasks.arguments import decode
from bgtasks.environment import Environment
from bgtasks.execution import OWN_FRAMES, max_attempts
from bgtasks.queue.types import Claim, Outcome, Result, Turn

logger = logging.getLogger("bgtasks.worker")

SUCCESSES = (Result.SUCCESSFUL, Result.SETTLED)
LEVELS = {Result.RETRY: logging.ERROR, Result.FAILED: logging.ERROR, Result.LOST: logging.WARNING}
LONGEST_ARGUMENTS = 200

_said: set[str] = set()


def report_outcome(outcome: Outcome, turn: Turn, worker: str) -> None:
    """Write the line of one run. A claim that was given back untouched is nothing to tell."""
    result = result_in(turn, outcome)
    level = LEVELS.get(result, logging.INFO)
    was_started = outcome.result is not Result.RELEASED or outcome.error is not None
    if not logger.isEnabledFor(level) or not (was_started or result is Result.CANCELLED):
        return
    claim = outcome.claim
    if result in SUCCESSES and output.fold(logger, worker, claim.task_name, outcome.duration):
        return
    error = outcome.error if level == logging.ERROR else None
    logger.log(
        level, "task=%s name=%s attempt=%s outcome=%s duration=%.6f",
        claim.task_id, claim.task_name, claim.attempts, result.value, outcome.duration,
        exc_info=(type(error), error, _from_the_function(error.__traceback__)) if error is not None else None,
        extra=_facts(outcome, result, worker),
    )  # fmt: skip


def result_in(turn: Turn, outcome: Outcome) -> Result:
    """Return what really became of a run: its claim may have been lost, a retry may have been cancelled."""
    if outcome.claim.task_id in turn.cancelled:
        return Result.CANCELLED
    is_lost = turn.lost and any(one is outcome for one in turn.lost)  # asked first: a search of nothing takes 0.2 µs
    return Result.LOST if is_lost else outcome.result


def _facts(outcome: Outcome, result: Result, worker: str) -> dict[str, Any]:
    claim = outcome.claim
    return {
        "event": "task",
        "task_id": claim.task_id,
        "task_name": claim.task_name,
        "queue": claim.queue,
        "attempt": claim.attempts,
        "max_attempts": max_attempts(claim),
        "outcome": result.value,
        "duration": outcome.duration,
        "waited": max(0.0, (claim.locked_at - claim.run_at).total_seconds()),
        "retry_in": outcome.retry_in if result is Result.RETRY else None,
        "worker": worker,
        "arguments": _arguments(claim),
    }


def _arguments(claim: Claim) -> str:
    """Return the arguments as they would be written in a call, where the settings allow it."""
    allowed = conf.current().log_args
    if not (settings.DEBUG if allowed is None else allowed):
        return ""
    try:
        args, kwargs = decode(claim.task_params)
    except ValueError:
        return ""
    text = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
    return f"({text[:LONGEST_ARGUMENTS]}…)" if len(text) > LONGEST_ARGUMENTS else f"({text})"


def _from_the_function(traceback: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that begins at the task's function."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(OWN_FRAMES):
        traceback = traceback.tb_next
    return traceback


def report_leftovers(claim: Claim, changed: list[str], closed: list[str], environment: Environment) -> None:
    """Say once for each task name what it leaves behind in the process."""
    left = environment.new_threads()
    if not (changed or closed or environment.damage or left):
        return
    threads = [thread.name for thread in left]
    told = {"changed": changed, "open transaction on": closed, "damaged": environment.damage, "left threads": threads}
    for what, names in told.items():
        if names:
            _say_once(claim, f"{what} {', '.join(names)}")


def _say_once(claim: Claim, what: str) -> None:
    key = f"{claim.task_name} {what.split(' ', 1)[0]}"
    if key not in _said:
        _said.add(key)
        logger.warning(
            "task=%s name=%s %s; put right as far as possible, and not told again of this task",
            claim.task_id, claim.task_name, what,
            extra={"event": "leftovers"},
        )  # fmt: skip
