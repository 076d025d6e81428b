"""The warning that tasks wait and no worker is running."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from bgtasks import background, hints
from bgtasks.models import Task, WorkerProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(hints, "_next_look", 0.0)
    task = background(name="hinted")(lambda: None)
    task.using(run_at=timedelta(minutes=-5)).enqueue()
    return task


@override_settings(DEBUG=True)
def test_the_enqueuing_process_says_it_once_under_debug(task: Any, caplog: pytest.LogCaptureFixture) -> None:
    hints._next_look = 0.0
    for _ in range(3):
        task.enqueue()
    assert caplog.text.count("1 task is waiting and no worker is running: bgtasksd start --workers 4") == 1


@override_settings(DEBUG=True)
def test_it_is_silent_while_a_worker_is_seen(task: Any, caplog: pytest.LogCaptureFixture) -> None:
    worker = WorkerProcess.objects.create(name="host:main:1:ab", host="host", pid=1)
    hints._next_look = 0.0
    task.enqueue()
    assert "no worker" not in caplog.text
    WorkerProcess.objects.filter(pk=worker.pk).update(last_seen_at=timezone.now() - timedelta(minutes=5))
    assert "no worker" in hints.missing_worker()


def test_it_is_silent_without_debug_and_for_tasks_that_are_new(task: Any, caplog: pytest.LogCaptureFixture) -> None:
    task.enqueue()
    assert "no worker" not in caplog.text
    Task.objects.update(run_at=timezone.now())
    assert hints.missing_worker() == ""
