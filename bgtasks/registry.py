"""Which task functions this process knows: those of `@background` by name, those of another door through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bgtasks.background_task import BackgroundTask

if TYPE_CHECKING:
    from bgtasks.queue.types import Claim, Outcome, Result

_tasks: dict[str, BackgroundTask[..., Any]] = {}
_sources: dict[str, set[tuple[str, str]]] = {}
"""Task name → (module, qualified name) of every function registered under it."""


class Door(Protocol):
    """Another way for tasks to get into the table: its rows name a backend, and it knows what to run for them."""

    def find(self, claim: Claim) -> Any:
        """Return what to run, with the interface of BackgroundTask that the execution uses; None: unknown here."""

    def names(self) -> set[str]:
        """Return the names that this process has met."""

    def started(self, claim: Claim) -> None:
        """Tell its own that the function is about to be called."""

    def ended(self, outcome: Outcome, result: Result) -> None:
        """Tell its own how a run ended, once that is committed."""

    def died(self, row: Any) -> None:
        """Tell its own of a completed task whose worker had died under it."""


other_door: Door | None = None
"""Set by `bgtasks.compat` where `django.tasks` is used."""


def register(task: BackgroundTask[..., Any]) -> None:
    """Make a task known under its name. Never raises: `duplicates` tells of clashes."""
    function = task.task_function
    source = (getattr(function, "__module__", "") or "", getattr(function, "__qualname__", repr(function)))
    _tasks[task.name] = task
    _sources.setdefault(task.name, set()).add(source)


def get(name: str) -> BackgroundTask[..., Any] | None:
    """Return the task registered under a name, or None."""
    return _tasks.get(name)


def known(claim: Claim) -> Any:
    """Return what to run for a claimed row, whichever door it came through; None if this process does not know it."""
    if claim.row["backend"]:
        return None if other_door is None else other_door.find(claim)
    return _tasks.get(claim.task_name)


def door_of(claim: Claim) -> Door | None:
    """Return the other door, for a row that came through it."""
    return other_door if claim.row["backend"] else None


def names() -> list[str]:
    """Return the names of the `@background` functions known, sorted."""
    return sorted(_tasks)


def all_names() -> list[str]:
    """Return the names known, whichever door they are for, sorted."""
    return sorted(_tasks.keys() | (other_door.names() if other_door is not None else set()))


def duplicates() -> dict[str, list[str]]:
    """Return the names that two different functions share, with the dotted paths of these functions."""
    return {
        name: sorted(".".join(source) for source in sources)
        for name, sources in sorted(_sources.items())
        if len(sources) > 1
    }
