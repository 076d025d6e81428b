"""Database connections between tasks: kept open as long as they work, and never with a transaction left behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

logger = logging.getLogger("bgtasks.execution")

_left_alone: list[Any] = []
"""Connections in a transaction of whoever called the worker."""


@contextmanager
def leaving_transactions_alone() -> Iterator[None]:
    """Let the transactions that are open be the caller's in here, as those of a test that calls `process_tasks`."""
    found = [one for one in connections.all(initialized_only=True) if one.in_atomic_block]
    _left_alone.extend(found)
    try:
        yield
    finally:
        _left_alone[:] = [one for one in _left_alone if one not in found]


def _is_ours(connection: Any) -> bool:
    return all(connection is not one for one in _left_alone)


def tidy_connections() -> list[str]:
    """Close what a task left in a transaction or in error, and return these aliases. The rest stays connected."""
    closed = []
    for connection in connections.all(initialized_only=True):
        if (connection.connection is None and not connection.in_atomic_block) or not _is_ours(connection):
            continue
        if _has_open_transaction(connection):
            closed.append(connection.alias)
            _close(connection)
        elif connection.errors_occurred:
            connection.close_if_unusable_or_obsolete()  # asks the server whether it is still there
    return closed


def close_connections(alias: str | None = None) -> None:
    """Close one connection, or all: after an interrupt one may stand in the middle of an answer."""
    for connection in connections.all(initialized_only=True):
        if alias in (None, connection.alias) and _is_ours(connection):
            _close(connection)


def _has_open_transaction(connection: Any) -> bool:
    """Say whether a transaction is open, be it Django's own or one begun in raw SQL behind its back."""
    if connection.in_atomic_block or not connection.autocommit:
        return True
    driver = connection.connection
    try:
        return _is_in_transaction(driver)
    except Exception:  # noqa: BLE001 - a connection that cannot even say this is given up like one with a transaction
        return True


def _is_in_transaction(driver: Any) -> bool:
    # The attribute of sqlite3; then the one of psycopg, where 0 is idle. mysqlclient cannot tell without asking.
    return bool(
        getattr(driver, "in_transaction", False) or getattr(getattr(driver, "info", None), "transaction_status", 0)
    )


def _close(connection: Any) -> None:
    """Close a connection and forget its transaction, also one whose `atomic()` was entered and never left."""
    connection.in_atomic_block = False
    connection.atomic_blocks = []
    connection.savepoint_ids = []
    connection.needs_rollback = False
    connection.closed_in_transaction = False
    try:
        connection.close()
    except Exception as error:  # noqa: BLE001 - the connection is given up, whatever its driver says about it
        logger.debug("database=%s closing raised %s", connection.alias, type(error).__name__)
        connection.connection = None
