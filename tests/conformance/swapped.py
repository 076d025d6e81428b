"""Django's own backends, replaced by ours before its tests are imported: every dotted path in them leads to us."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class Swapped(AppConfig):
    name = "tests.conformance"
    label = "conformance"

    def ready(self) -> None:
        from django import test
        from django.tasks.backends import dummy, immediate

        from bgtasks import DatabaseBackend, registry
        from bgtasks.compat.django_tasks.door import DjangoTasks
        from bgtasks.compat.in_process import run_next
        from bgtasks.queue.claims import delete_waiting

        class Remembering(DatabaseBackend):
            """Stands for DummyBackend, whose tests look at what was enqueued."""

            def __init__(self, alias: str, params: dict[str, Any]) -> None:
                super().__init__(alias, params)
                self.results: list[Any] = []

            def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
                self.results.append(super().enqueue(task, args, kwargs))
                return self.results[-1]

            def clear(self) -> None:
                delete_waiting([int(result.id[1:]) for result in self.results])
                self.results.clear()

        class Running(DatabaseBackend):
            """Stands for ImmediateBackend: claims, executes and settles like a worker, at once."""

            def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
                result = super().enqueue(task, args, kwargs)
                run_next()
                result.refresh()
                return result

        registry.other_door = DjangoTasks()
        dummy.DummyBackend, immediate.ImmediateBackend = Remembering, Running
        # theirs are for backends without a database: each becomes a case that may use one
        test.SimpleTestCase = test.TransactionTestCase
