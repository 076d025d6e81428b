"""Which engine speaks to the database that holds the tasks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from django.db import connections

from bgtasks import conf, waking
from bgtasks.queue.engine import Engine
from bgtasks.queue.mysql import MySQL
from bgtasks.queue.notifying import notify
from bgtasks.queue.postgresql import PostgreSQL
from bgtasks.queue.sqlite import SQLite

ENGINES: dict[str, type[Engine]] = {"postgresql": PostgreSQL, "mysql": MySQL, "sqlite": SQLite}
waking.NOTIFIERS["postgresql"] = notify


def alias() -> str:
    """Return the alias of the database that holds the tasks."""
    return conf.current().database


def engine() -> Engine:
    """Return this thread's engine. Raises KeyError for a database that has none."""
    connection = connections[conf.current().database]
    return ENGINES[connection.vendor](connection)


def atomic() -> AbstractContextManager[None]:
    """Open the transaction in which a task's body and its settling commit together (`atomic=True`)."""
    return engine().atomic()


def whole() -> AbstractContextManager[None]:
    """Keep all that is written or nothing, within the caller's transaction if there is one."""
    return engine().whole()


def as_datetime(value: Any) -> datetime:
    """Return a time that a raw statement read, as the ORM would give it."""
    return engine().to_python(value)
