"""A task as facts: the keys of `tasks list --json`, times in UTC, and the words for what has not happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def facts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a row, live or over, in one shape: what it has not is null."""
    from bgtasks.models import Status  # models exist only once Django is set up

    is_over = "outcome" in row
    return {
        "schema_version": 1,
        "id": str(row["id"]),
        "status": Status(row["outcome" if is_over else "status"]).label,
        "name": row["task_name"],
        "queue": row["queue"],
        "priority": row["priority"],
        "attempts": row["attempts"],
        "crashes": row["crashes"],
        "created_at": utc(row["created_at"]),
        "run_at": None if is_over else utc(row["run_at"]),
        "started_at": utc(row["locked_at"]),
        "finished_at": utc(row["run_at"]) if is_over else None,
        "worker": row["locked_by"] or None,
        "cancel_requested_at": utc(row.get("cancel_requested_at")),
        "error": last_line(row["last_error_end"]) or None,
    }


def utc(at: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    from django.utils import timezone  # only after the front end has set Django up

    if at is None:
        return None
    aware = timezone.make_aware(at) if timezone.is_naive(at) else at
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def last_line(error: str) -> str:
    """Return the line of a traceback that says what went wrong."""
    lines = error.strip().splitlines()
    return lines[-1] if lines else ""
