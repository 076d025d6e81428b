"""The tables that django-background-tasks left behind: their names and columns in all versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models

from bgtasks.compat.foreign_tables import ForeignTable, NoTable

TASKS, COMPLETED = "background_task", "background_task_completedtask"
LONG_AGO = {
    "task_name": models.TextField,
    "task_params": models.TextField,
    "task_hash": models.TextField,
    "priority": models.IntegerField,
    "run_at": models.DateTimeField,
    "attempts": models.IntegerField,
    "failed_at": models.DateTimeField,
    "last_error": models.TextField,
    "locked_by": models.TextField,
    "locked_at": models.DateTimeField,
}
"""What every version had."""
LATER: dict[str, Callable[..., Any]] = {
    "verbose_name": models.TextField,
    "repeat": models.BigIntegerField,
    "repeat_until": models.DateTimeField,
    "queue": models.TextField,
    "creator_content_type_id": models.BigIntegerField,
    "creator_object_id": models.BigIntegerField,
}
"""What came in the course of time; a missing one holds its default."""


class OldTable(ForeignTable):
    """One of the old tables."""

    def __init__(self, alias: str, name: str) -> None:
        """Look at its columns. Raises NoTable."""
        super().__init__(alias, name, LONG_AGO, LATER)


__all__ = ["COMPLETED", "LATER", "LONG_AGO", "TASKS", "NoTable", "OldTable"]
