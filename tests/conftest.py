"""The databases of the tests: the one BGTASKS_TEST_DB selects, emptied after each test that really commits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import setup_databases, teardown_databases

from tests.settings import VENDOR


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the test database, also when no test asks for it by pytest-django's own marks."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, aliases={"default"})
        try:
            yield
        finally:
            lock_file = Path(f"{connection.settings_dict['NAME']}.bgtasks-lock")
            teardown_databases(made, verbosity=0)
            lock_file.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def forget_local_tasks() -> Iterator[None]:
    """Take the tasks that a test decorated in its own body out of the registry: two alike would be a check's error."""
    from bgtasks import registry  # needs configured settings

    before = dict(registry._tasks)
    yield
    for name, sources in list(registry._sources.items()):
        sources -= {source for source in sources if "<locals>" in source[1]}
        if not sources:
            del registry._sources[name]
        if "<locals>" in getattr(registry._tasks[name].task_function, "__qualname__", ""):
            del registry._tasks[name]
            if name in before and sources:
                registry._tasks[name] = before[name]


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register its functions in a registry of its own."""
    from bgtasks import registry  # needs configured settings

    monkeypatch.setattr(registry, "_tasks", {})
    monkeypatch.setattr(registry, "_sources", {})


@pytest.fixture
def queue_tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Give real transactions on empty tables of bgtasks: what several connections or processes see."""
    from bgtasks.models import CompletedTask, Queue, Task, TaskAttempt, WorkerProcess
    from bgtasks.queue import enqueueing

    with django_db_blocker.unblock():
        try:
            yield
        finally:
            is_open = connection.connection is not None  # MySQL's own question fails without one
            if is_open and (connection.in_atomic_block or not connection.is_usable()):
                connection.close()
            for model in (Task, CompletedTask, TaskAttempt, WorkerProcess, Queue):
                model.objects.all()._raw_delete(connection.alias)
            enqueueing._known.clear()


@pytest.fixture
def child_environment(queue_tables: None) -> dict[str, str]:
    """Return the environment in which another process finds this test's database and settings."""
    name = str(connection.settings_dict["NAME"])
    if VENDOR == "sqlite":
        name = Path(name).stem.removeprefix("bgtasks-")
    root = str(Path(__file__).parent.parent)
    return {
        **os.environ,
        "BGTASKS_TEST_DB_NAME": name,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": root,
    }
