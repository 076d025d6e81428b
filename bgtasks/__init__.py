"""The public names of bgtasks, loaded on first use: importing the package costs no Django."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bgtasks.compat.django_tasks import DatabaseBackend as DatabaseBackend
    from bgtasks.compat.django_tasks.task import task as task
    from bgtasks.context import TaskContext as TaskContext
    from bgtasks.context import current_context as current_context
    from bgtasks.progress import Progress as Progress
    from bgtasks.tasks import BackgroundTask as BackgroundTask
    from bgtasks.tasks import TaskSchedule as TaskSchedule
    from bgtasks.tasks import background as background

__version__ = "0.1.0"
__all__ = [
    "BackgroundTask",
    "DatabaseBackend",
    "Progress",
    "TaskContext",
    "TaskSchedule",
    "__version__",
    "background",
    "current_context",
    "task",
]

_HOMES = {
    "BackgroundTask": "bgtasks.tasks",
    "DatabaseBackend": "bgtasks.compat.django_tasks",
    "Progress": "bgtasks.progress",
    "TaskContext": "bgtasks.context",
    "TaskSchedule": "bgtasks.tasks",
    "background": "bgtasks.tasks",
    "current_context": "bgtasks.context",
    "task": "bgtasks.compat.django_tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bgtasks' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
