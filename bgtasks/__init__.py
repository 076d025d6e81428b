"""The public names of bgtasks, loaded on first use: importing the package costs no Django."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bgtasks.tasks import BackgroundTask as BackgroundTask
    from bgtasks.tasks import TaskSchedule as TaskSchedule
    from bgtasks.tasks import background as background

__version__ = "0.1.0"
__all__ = ["BackgroundTask", "TaskSchedule", "__version__", "background"]

_HOMES = {"BackgroundTask": "bgtasks.tasks", "TaskSchedule": "bgtasks.tasks", "background": "bgtasks.tasks"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bgtasks' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
