"""The columns that a request to run a function fills, as one tuple, and what many that were stored at once share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias

REQUEST = (
    "task_name",
    "task_params",
    "task_hash",
    "verbose_name",
    "priority",
    "priority_sign",
    "repeat",
    "repeat_until",
    "queue",
    "max_attempts",
    "max_run_time",
    "creator_content_type_id",
    "creator_object_id",
    "headers",
    "backend",
    "legacy_id",
    "unique_key",
    "limit_key",
)
request_of = attrgetter(*REQUEST)


def given(row: tuple[Any, ...]) -> tuple[tuple[str, ...], list[Any]]:
    """Return names and values of a request's columns without the empty ones: each costs a driver a microsecond."""
    filled = [at for at, value in enumerate(row) if value is not None]
    return tuple([REQUEST[at] for at in filled]), [row[at] for at in filled]


Call: TypeAlias = tuple[str, str]
"""What tells a task from others of one `enqueue_many`: (task_params, task_hash)."""
OF_CALL = ("task_params", "task_hash")


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows that one statement inserted."""

    ids: list[int]
    """In the order of the calls."""
    status: int
    run_at: datetime
    created_at: datetime
