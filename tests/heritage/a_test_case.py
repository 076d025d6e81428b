"""What a project's own tests may do: run by Django's runner in a process of its own, which `process_tasks` changes."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connection
from django.test import TestCase

from bgtasks import background
from bgtasks.compat.tasks import tasks
from bgtasks.models import CompletedTask, Queue, Task, WorkerProcess


class InATestCase(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.left = Queue.objects.create(name="made by the class")

    def setUp(self) -> None:
        self.ran: list[Any] = []
        self.note = background(name="note")(lambda what: self.ran.append((what, connection.in_atomic_block)))

    def test_process_tasks_runs_what_the_test_enqueued(self) -> None:
        self.note(1)
        call_command("process_tasks", duration=1, sleep=0.1)
        assert self.ran == [(1, True)]
        assert CompletedTask.objects.get().attempts == 1
        assert not Task.objects.exists()
        assert not WorkerProcess.objects.exists()
        self.left.refresh_from_db()

    def test_process_tasks_leaves_nothing_behind(self) -> None:
        assert not CompletedTask.objects.exists()
        self.left.refresh_from_db()

    def test_a_queue_known_from_a_test_before_is_made_again(self) -> None:
        for _ in range(2):
            with self.captureOnCommitCallbacks(execute=True):
                self.note(2, queue="of a test")
            assert tasks.run_next_task()
            Queue.objects.all().delete()  # as the rollback between two tests does
        assert [what for what, _ in self.ran] == [2, 2]
