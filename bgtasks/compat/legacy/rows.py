"""What becomes of one old row: a task that waits, a task that is over, or nothing, with the reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bgtasks import conf
from bgtasks.arguments import encode, hash_of
from bgtasks.models import CompletedTask, Status, Task
from bgtasks.models.request import DEFAULT_QUEUE

CHARGED = "WorkerDied: the old worker held this task when it was taken over"


class Unreadable(Exception):
    """The row cannot be taken over; the message says why. It stays where it is."""


@dataclass(frozen=True, slots=True)
class Locks:
    """How to tell a worker that is gone from one that may still run its task."""

    now: datetime
    longest: float | None
    """Seconds that a task may run; None: for ever."""
    are_stale: bool = False
    """Somebody has said that the old workers are stopped."""

    def is_locked(self, old: Any) -> bool:
        """Whether a worker had taken the row."""
        return bool(old.locked_by) and old.locked_at is not None and old.failed_at is None

    def may_be_running(self, old: Any) -> bool:
        """Whether that worker may still run it."""
        if not self.is_locked(old) or self.are_stale:
            return False
        return self.longest is None or old.locked_at > self.now - timedelta(seconds=self.longest)


def taken_over(old: Any, locks: Locks) -> Task | CompletedTask:
    """Return what a row of the old table of tasks becomes. Raises Unreadable."""
    shared = _shared(old)
    if old.failed_at is not None:  # the oldest versions left what had failed among the living
        return _over(shared, old.failed_at, old.failed_at, old)
    attempts = shared["attempts"] + locks.is_locked(old)
    if locks.is_locked(old):
        shared |= {"attempts": attempts, "last_error": shared["last_error"] or CHARGED}
        if attempts >= max(1, conf.current().max_attempts):
            return _over(shared, locks.now, locks.now, old)
    return Task(**shared, run_at=old.run_at or locks.now, created_at=locks.now)


def history_of(old: Any) -> CompletedTask:
    """Return what a row of the old history becomes; its `run_at` is when it ended. Raises Unreadable."""
    return _over(_shared(old), old.run_at, old.failed_at, old)


def _over(shared: dict[str, Any], ended_at: datetime, failed_at: datetime | None, old: Any) -> CompletedTask:
    outcome = Status.SUCCESSFUL if failed_at is None else Status.FAILED
    return CompletedTask(
        **shared,
        run_at=ended_at,
        failed_at=failed_at,
        outcome=outcome,
        locked_by=old.locked_by,
        locked_at=old.locked_at,
    )


def _shared(old: Any) -> dict[str, Any]:
    """Return the columns of a request. The old hash may be of another form: it is reckoned anew."""
    params = encode(*_arguments(old))
    creator = getattr(old, "creator_object_id", None)
    return {
        "task_name": _fitting(old.task_name, 255, "task_name"),
        "task_params": params,
        "task_hash": hash_of(old.task_name, params),
        "verbose_name": _fitting(getattr(old, "verbose_name", None) or None, 255, "verbose_name"),
        "priority": old.priority or 0,
        "repeat": max(0, getattr(old, "repeat", 0) or 0),
        "repeat_until": getattr(old, "repeat_until", None),
        "queue": _fitting(getattr(old, "queue", None) or DEFAULT_QUEUE, 190, "queue"),
        "attempts": old.attempts or 0,
        "last_error": old.last_error or "",
        "creator_content_type_id": getattr(old, "creator_content_type_id", None),
        "creator_object_id": None if creator is None else str(creator),
        "legacy_id": old.id,
    }


def _arguments(old: Any) -> tuple[list[Any], dict[str, Any]]:
    try:
        args, kwargs = json.loads(old.task_params)
    except (TypeError, ValueError) as error:
        raise Unreadable(f"its arguments are not a JSON pair: {error}") from None
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise Unreadable("its arguments are not a list and a dictionary")
    if not old.task_name:
        raise Unreadable("it has no name")
    return args, kwargs


def _fitting(text: str | None, longest: int, column: str) -> str | None:
    if text is not None and len(text) > longest:
        raise Unreadable(f"its {column} has {len(text)} characters, and at most {longest} fit")
    return text
