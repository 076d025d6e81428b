"""A database of its own for each run, and tasks to fill it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import django

PARAMS = '[["' + "x" * 120 + '", 12345], {"flag": true}]'
"""Arguments of about 150 bytes."""


@contextmanager
def fresh_database() -> Iterator[None]:
    """Make the test database, and drop it at the end."""
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    made = setup_databases(verbosity=0, interactive=False, aliases={"default"})
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0)


def fill(count: int) -> None:
    """Store that many tasks that are ready."""
    from bgtasks.models import Task

    for _ in range(0, count, 1000):
        Task.objects.bulk_create([Task(task_name="benchmarks.nothing", task_params=PARAMS) for _ in range(1000)])
