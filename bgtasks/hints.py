"""What is said when tasks wait and nobody runs them: once a process, with the command to type."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.utils import timezone

from bgtasks.models import Status, Task, WorkerProcess
from bgtasks.output import format_count
from bgtasks.queue import claims

logger = logging.getLogger("bgtasks.tasks")

SILENT = timedelta(seconds=60)
"""A worker not seen for so long is not counted as running, and a task that waits no longer may still find one."""

CAP = 10_000
"""Tasks counted: counting a whole table takes seconds at 10 M rows."""

_next_look = 0.0
"""On the monotonic clock: when to look again; after the warning never."""


def missing_worker() -> str:
    """Return the sentence to say if tasks wait and no worker is running, else nothing."""
    a_while_ago = timezone.now() - SILENT
    workers, tasks = WorkerProcess.objects.using(claims.alias()), Task.objects.using(claims.alias())
    if workers.filter(last_seen_at__gt=a_while_ago).exists():
        return ""
    due = tasks.filter(status=Status.READY, run_at__lt=a_while_ago)
    waiting = due.order_by().values("pk")[: CAP + 1].count()
    if not waiting:
        return ""
    tasks_are = "task is" if waiting == 1 else "tasks are"
    return f"{format_count(waiting, CAP)} {tasks_are} waiting and no worker is running: bgtasksd start --workers 4"


def mention_missing_worker() -> None:
    """Warn in the log of this process, which enqueues. Looks once a minute until it has spoken."""
    global _next_look
    now = time.monotonic()
    if now < _next_look:
        return
    _next_look = now + SILENT.total_seconds()
    sentence = missing_worker()
    if sentence:
        logger.warning(sentence)
        _next_look = float("inf")
