"""Which task functions this process knows, by name. The last registration of a name wins."""

from __future__ import annotations

from typing import Any

from bgtasks.background_task import BackgroundTask

_tasks: dict[str, BackgroundTask[..., Any]] = {}
_sources: dict[str, set[tuple[str, str]]] = {}
"""Task name → (module, qualified name) of every function registered under it."""


def register(task: BackgroundTask[..., Any]) -> None:
    """Make a task known under its name. Never raises: `duplicates` tells of clashes."""
    function = task.task_function
    source = (getattr(function, "__module__", "") or "", getattr(function, "__qualname__", repr(function)))
    _tasks[task.name] = task
    _sources.setdefault(task.name, set()).add(source)


def get(name: str) -> BackgroundTask[..., Any] | None:
    """Return the task registered under a name, or None."""
    return _tasks.get(name)


def names() -> list[str]:
    """Return the names known, sorted."""
    return sorted(_tasks)


def duplicates() -> dict[str, list[str]]:
    """Return the names that two different functions share, with the dotted paths of these functions."""
    return {
        name: sorted(".".join(source) for source in sources)
        for name, sources in sorted(_sources.items())
        if len(sources) > 1
    }
