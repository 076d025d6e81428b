"""What became of a task, and what it returned, where its function keeps that: read from the history."""

from __future__ import annotations

import json
from typing import Any

from bgtasks.models import CompletedTask, Status, Task
from bgtasks.queue.asking import ask_other_hosts
from bgtasks.queue.engines import alias


def over(task_id: int, task_name: str) -> CompletedTask | None:
    """Return a task of this name that is over, None as long as it is not. Raises LookupError if there is none."""
    if Task.objects.using(alias()).filter(pk=task_id, task_name=task_name).exists():
        ask_other_hosts()
        return None
    found = CompletedTask.objects.using(alias()).filter(pk=task_id).first()
    if found is not None and found.task_name != task_name:
        raise LookupError(f"task {task_id} is a {found.task_name}, not a {task_name}")
    if found is None and not Task.objects.using(alias()).filter(pk=task_id, task_name=task_name).exists():
        raise LookupError(f"task {task_id} is unknown here, or pruned from the history")
    return found


def return_value(task_id: int, task_name: str) -> Any:
    """Return what a task of this name returned. Raises LookupError, saying why, if there is nothing to return."""
    over = CompletedTask.objects.using(alias()).filter(pk=task_id).first()
    if over is None:
        waits = Task.objects.using(alias()).filter(pk=task_id, task_name=task_name).exists()
        what = "not over yet" if waits else "unknown here, or pruned from the history"
        raise LookupError(f"task {task_id} is {what}")
    if over.task_name != task_name:
        raise LookupError(f"task {task_id} is a {over.task_name}, not a {task_name}")
    if over.outcome != Status.SUCCESSFUL:
        raise LookupError(f"task {task_id} did not succeed: it is {over.status.label}")
    if over.result is None:
        raise LookupError(f"what task {task_id} returned was not kept: write @background(keep_result=True)")
    return json.loads(over.result)
