"""The signals of a task's life, under their heritage names, and the one way to send them: robustly, failures logged."""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

logger = logging.getLogger("bgtasks.signals")

task_created = Signal()
"""The insert is committed, a repetition's too. Sender: DBTaskRunner; `task`."""

task_started = Signal()
"""The claim is committed and the function about to be called, at every attempt. Sender: Task; `task`."""

task_error = Signal()
"""An attempt failed, and the row shows it. Sender: the class of the exception; `task`."""

task_rescheduled = Signal()
"""A retry is written: the task waits again, with a new `run_at`. Sender: Task; `task`."""

task_failed = Signal()
"""The task failed for good. Sender: Task; `task_id`, `completed_task`."""

task_cancelled = Signal()
"""The task was cancelled, waiting or running. Sender: Task; `task_id`, `completed_task`."""

task_successful = Signal()
"""The task succeeded. Sender: Task; `task_id`, `completed_task`."""

task_finished = Signal()
"""A run is over, whatever happened; after the signals above. Sender: Task; `task_id`."""

NAMES = {
    task_created: "task_created",
    task_started: "task_started",
    task_error: "task_error",
    task_rescheduled: "task_rescheduled",
    task_failed: "task_failed",
    task_cancelled: "task_cancelled",
    task_successful: "task_successful",
    task_finished: "task_finished",
}
"""What the log calls them. Others who announce theirs here add them."""


def is_heard(signal: Signal, sender: Any) -> bool:
    """Say whether anybody listens. Asking Django costs 1 µs, and there are four questions a task: look first."""
    return bool(signal.receivers) and signal.has_listeners(sender)


def announce(signal: Signal, sender: Any, **facts: Any) -> None:
    """Send a signal to every receiver. One that raises is logged; it stops neither the others nor the caller."""
    try:
        answers = signal.send_robust(sender=sender, **facts)
    except BaseException as error:
        logger.error("signal=%s a receiver raised %s", NAMES.get(signal), type(error).__name__, exc_info=error)
        return
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            name, kind = _name_of(receiver), type(answer).__name__
            logger.error("signal=%s receiver=%s raised %s", NAMES.get(signal), name, kind, exc_info=answer)


def _name_of(receiver: Any) -> str:
    module = getattr(receiver, "__module__", None) or type(receiver).__module__
    return f"{module}.{getattr(receiver, '__qualname__', type(receiver).__qualname__)}"
