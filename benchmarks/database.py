"""A database of its own for each run, and tasks to fill it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import django

NOTHING = "benchmarks.tasks.nothing"
PARAMS = '[["' + "x" * 115 + '", 12345], {"flag": true}]'
"""Arguments of about 150 bytes, for a task that does nothing."""
AT_A_TIME = 50_000
"""Rows a statement copies: a transaction with millions would outgrow a server's log."""


@contextmanager
def fresh_database() -> Iterator[None]:
    """Make the test database, and drop it at the end."""
    django.setup()
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    made = setup_databases(verbosity=0, interactive=False, aliases={"default"})
    lock_file = Path(f"{connection.settings_dict['NAME']}.bgtasks-lock")
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0)
        with suppress(OSError):
            lock_file.unlink()


def fill(count: int, **columns: Any) -> None:
    """Store that many tasks, all alike: ready ones that do nothing, unless `columns` say otherwise.

    The first is stored by the ORM, the others are copies made by the database: about 10 µs each.
    """
    from bgtasks.models import Task

    if count > 0:
        first = Task.objects.create(**{"task_name": NOTHING, "task_params": PARAMS, **columns})
        _multiply(Task, first.pk, count)


def _multiply(model: Any, first: int, count: int) -> None:
    from django.db import connection

    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    fields = [field for field in model._meta.concrete_fields if not field.generated and not field.primary_key]
    columns = ", ".join(quote(field.column) for field in fields)
    made = 1
    while made < count:
        batch = min(made, count - made, AT_A_TIME)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id >= %s ORDER BY id LIMIT %s",
                [first, batch],
            )
        made += batch


def empty() -> None:
    """Throw away every task, its history and the workers' rows, so that the next run begins like the first."""
    from django.core.management.color import no_style
    from django.db import connection

    from bgtasks.models import CompletedTask, Task, TaskAttempt, WorkerProcess

    tables = [model._meta.db_table for model in (Task, TaskAttempt, CompletedTask, WorkerProcess)]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables, reset_sequences=False))


def is_drained() -> bool:
    """Tell whether nothing is left to do; while the database is out of reach nobody knows."""
    from django.db import OperationalError, connection

    from bgtasks.models import Task

    try:
        return not Task.objects.exists()
    except OperationalError:
        connection.close()
        return False


def server_version() -> str:
    """Return the database's name and version in short."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT 'SQLite ' || sqlite_version()" if connection.vendor == "sqlite" else "SELECT version()")
        version = str(cursor.fetchone()[0])
    if connection.vendor == "postgresql":
        return " ".join(version.split()[:2])
    number, _, rest = version.partition("-")
    return version if connection.vendor == "sqlite" else f"{'MariaDB' if 'MariaDB' in rest else 'MySQL'} {number}"
