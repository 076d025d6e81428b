"""What a task knows of its own run, and tells of it: attempt, headers, whether it had better stop, how far it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from bgtasks.progress import read_progress, stored_form

if TYPE_CHECKING:
    from bgtasks.queue.types import Claim


def never() -> bool:
    return False


def nobody(claim: Claim, text: str) -> None:
    """Stand for whoever shows progress."""


class TaskContext:
    """The run of one task, as its function sees it. Outside of a task it is one of which nobody wants anything."""

    __slots__ = ("_claim", "_must_stop", "_tell", "told")

    def __init__(
        self,
        claim: Claim | None = None,
        must_stop: Callable[[], bool] = never,
        tell: Callable[[Claim, str], object] = nobody,
    ) -> None:
        self._claim = claim
        self._must_stop = must_stop
        self._tell = tell
        self.told: str | None = None
        """The last progress, as it is kept; None: nothing was told."""

    @property
    def task_id(self) -> int | None:
        """The id of the row; None outside of a task."""
        return None if self._claim is None else self._claim.task_id

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1 on."""
        return 1 if self._claim is None else self._claim.attempts

    @property
    def headers(self) -> dict[str, Any]:
        """What was given to `using(headers=…)`. A dictionary of your own: to change it changes nothing."""
        text = "" if self._claim is None else self._claim.row["headers"]
        try:
            found = json.loads(text) if text else {}
        except ValueError:  # what stands there was not written by us
            found = {}
        return found if isinstance(found, dict) else {}

    def should_stop(self) -> bool:
        """Say whether somebody wants this task to end: its worker has to leave, it was cancelled, or its time is over.

        Asks no database and takes a microsecond. Return or raise soon then, or be interrupted later.
        """
        return self._must_stop()

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell how far this task is, as often as you like: it takes a few microseconds and no query of yours.

        It is written by others, at most once a second, and with the end of the task. Raises TypeError or ValueError.
        """
        told = stored_form(read_progress(done, total, message))
        if self._claim is not None:
            self.told = told
            self._tell(self._claim, told)


_current: ContextVar[TaskContext] = ContextVar("bgtasks_context")


def current_context() -> TaskContext:
    """Return the context of the task that runs here, in whatever it calls, coroutines and `sync_to_async` included.

    A thread that a task starts itself knows nothing of it: hand the context over.
    """
    return _current.get(_OUTSIDE)


enter, leave = _current.set, _current.reset
"""Let a context be the current one; `leave` takes what `enter` returns. A context manager costs a fast task 1 %."""

_OUTSIDE = TaskContext()
