"""Progress from a running task to whoever looks: the row, `status` and the end of it, with a daemon and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection

from bgtasks.models import CompletedTask, Task
from bgtasks.progress import progress_in
from tests.context import tasks
from tests.daemon import SLOW_MACHINE
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

SQLITE = connection.vendor == "sqlite"
"""Where a task that writes in a transaction lets nobody else write."""


def progress(task):
    return progress_in(Task.objects.values_list("progress", flat=True).get(pk=task.pk))


def assert_it_moves(task, words: str) -> None:
    """Wait until another process has written it twice."""
    first = wait_until(lambda: progress(task), SLOW_MACHINE, "the first progress")
    assert first.message == words
    wait_until(lambda: progress(task).done > first.done, SLOW_MACHINE, "the next progress")


def test_a_daemon_shows_and_writes_it_while_the_task_is_in_a_transaction(make_daemon, tmp_path):
    daemon = make_daemon(workers=2)
    daemon.start()
    end = tmp_path / "end"
    task = tasks.telling.enqueue(str(end))
    check_the_status(daemon, task)
    if not SQLITE:
        assert_it_moves(task, "working")
        told = json.loads(daemon.command("tasks", "show", str(task.pk), "--json").stdout)["progress"]
        assert told["message"] == "working"
        assert tasks.telling.progress(task.pk).message == "working"
    end.touch()
    over = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), SLOW_MACHINE)
    assert progress_in(over.progress) == (10**9, 10**9, "done")
    assert tasks.telling.progress(task.pk).in_words() == "1,000,000,000 of 1,000,000,000 (100 %), done"
    assert "1,000,000,000 of 1,000,000,000 (100 %), done" in daemon.command("tasks", "show", str(task.pk)).stdout
    wait_until(lambda: all(each["progress"] is None for each in daemon.status()["workers"]), SLOW_MACHINE)


def check_the_status(daemon, task):
    worker = daemon.busy_worker("telling")
    wait_until(lambda: (daemon.worker(worker["slot"])["progress"] or {}).get("done", 0) > 1, SLOW_MACHINE)
    assert daemon.worker(worker["slot"])["progress"]["message"] == "working"
    assert daemon.worker(3 - worker["slot"])["progress"] is None
    text = daemon.command("status").stdout
    assert f"  task     tests.context.tasks.telling {task.pk}  " in text
    assert ", working   " in text


@pytest.mark.parametrize("kind", ["telling", "telling_coroutine"])
def test_a_foreground_worker_writes_it_beside_its_task(make_foreground, tmp_path: Path, kind: str):
    process = make_foreground().start()
    end = tmp_path / "end"
    task = getattr(tasks, kind).enqueue(str(end))
    if kind == "telling_coroutine" or not SQLITE:
        assert_it_moves(task, "working")
    else:
        process.wait_for("started")
    end.touch()
    over = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), SLOW_MACHINE)
    assert progress_in(over.progress).message == ("done" if kind == "telling" else "working")
    assert "left threads" not in process.log
