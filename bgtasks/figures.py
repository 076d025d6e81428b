"""Figures about the queues, for status, admin and metrics: capped counts and ages, cheap at any size of the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from bgtasks.models import Queue, Status, WorkerProcess
from bgtasks.queue import claims
from bgtasks.queue_filters import filter_of

COUNT_CAP = 10_000
"""A count above it is given as one more: "over 10,000". Counting ten million rows takes seconds."""

SILENT = timedelta(minutes=10)
"""A worker process not seen for so long is not counted; one in the foreground is not seen during a long task."""

COUNT_READY = """
SELECT count(*) FROM (SELECT 1 FROM bgtasks_task WHERE status = 1 AND queue = %s LIMIT %s) AS capped
"""
# Those two are not indexed by queue: so many rows are looked at altogether.
COUNT_OTHERS = """
SELECT queue, count(*) FROM (SELECT queue FROM bgtasks_task WHERE status = {status} LIMIT %s) AS capped GROUP BY queue
"""
# From priority to priority through the index, to the first row of each.
OLDEST_READY = """
WITH RECURSIVE level (claim_order, number) AS (
    SELECT min(claim_order), 1 FROM bgtasks_task WHERE status = 1 AND queue = %s
    UNION ALL
    SELECT (SELECT min(claim_order) FROM bgtasks_task
            WHERE status = 1 AND queue = %s AND claim_order > level.claim_order), number + 1
    FROM level WHERE level.claim_order IS NOT NULL AND number < 100)
SELECT run_at FROM (
    SELECT (SELECT min(run_at) FROM bgtasks_task
            WHERE status = 1 AND queue = %s AND claim_order = level.claim_order) AS run_at FROM level) AS heads
WHERE run_at IS NOT NULL ORDER BY run_at LIMIT 1
"""


def queue_figures() -> list[dict[str, Any]]:
    """Return what `status --json` says about each queue, by name."""
    queues = list(Queue.objects.using(claims.alias()).order_by("name"))
    now = claims.database_now()
    is_any_ready = claims.look()[1]
    filters = _filters(now) if is_any_ready else []
    scheduled, running = (_count_others(status, len(queues)) for status in (Status.SCHEDULED, Status.RUNNING))
    return [
        {
            "name": queue.name,
            "ready": _count_ready(queue.name) if is_any_ready else 0,
            "scheduled": min(scheduled.get(queue.name, 0), COUNT_CAP + 1),
            "running": min(running.get(queue.name, 0), COUNT_CAP + 1),
            "oldest_ready_age_s": _oldest_ready_age(queue.name, now) if is_any_ready else None,
            "workers": sum(serves(queue.name) for serves in filters) if is_any_ready else None,
            "paused": queue.is_paused(now),
            "pause": pause_of(queue) if queue.is_paused(now) else None,
        }
        for queue in queues
    ]


def _filters(now: datetime) -> list[Callable[[str], bool]]:
    """Return for each worker process of any host what tells whether it serves a queue."""
    there = WorkerProcess.objects.using(claims.alias()).filter(last_seen_at__gt=now - SILENT)
    return [_serving(patterns) for patterns in there.values_list("queues", flat=True)]


def _serving(patterns: str) -> Callable[[str], bool]:
    try:
        return filter_of(tuple(patterns.split(","))).matches if patterns else lambda _: True
    except ValueError:
        return lambda _: True  # written by another version: what it serves is not known here


def _count_ready(queue: str) -> int:
    with connections[claims.alias()].cursor() as cursor:
        cursor.execute(COUNT_READY, [queue, COUNT_CAP + 1])
        count: int = cursor.fetchone()[0]
    return count


def _count_others(status: Status, queues: int) -> dict[str, int]:
    with connections[claims.alias()].cursor() as cursor:
        cursor.execute(COUNT_OTHERS.format(status=int(status)), [(COUNT_CAP + 1) * min(max(queues, 1), 10)])
        return dict(cursor.fetchall())


def _oldest_ready_age(queue: str, now: datetime) -> float | None:
    with connections[claims.alias()].cursor() as cursor:
        cursor.execute(OLDEST_READY, [queue] * 3)
        found = cursor.fetchone()
    return None if found is None else max(0.0, (now - claims.as_datetime(found[0])).total_seconds())


def pause_of(queue: Queue) -> dict[str, Any]:
    """Return who paused a queue, why, since when and until when."""
    return {
        "by": queue.paused_by or None,
        "reason": queue.pause_reason or None,
        "since": _utc(queue.paused_at),
        "until": _utc(queue.paused_until),
    }


def _utc(at: datetime | None) -> str | None:
    """Return a time as status shows it."""
    if at is None:
        return None
    aware = timezone.make_aware(at) if timezone.is_naive(at) else at
    return aware.astimezone(timezone.get_fixed_timezone(0)).strftime("%Y-%m-%dT%H:%M:%SZ")
