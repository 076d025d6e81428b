"""What a process that runs tasks does to its own SQLite connections, and to the file, so that writers wait in turn."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from django.db import Error, OperationalError, connections
from django.db.backends.signals import connection_created

from bgtasks.queue.engines import alias, engine

logger = logging.getLogger("bgtasks.maintenance")

PATIENCE = 30.0
"""Seconds to wait for the write lock, where the project says nothing: Django's 5 are for people at a browser."""
WAL_HEADER = b"\x02\x02"


def be_patient() -> None:
    """From now on this process begins transactions with the write lock, and waits for it.

    A transaction that reads first and then writes cannot wait: another writer has been there, "database is locked".
    What the project's OPTIONS say of `transaction_mode` and `timeout` stands.
    """
    connection_created.connect(_make_patient, dispatch_uid="bgtasks: patient connections")
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _make_patient(connection)


def _make_patient(connection: Any, **kwargs: Any) -> None:
    if connection.vendor != "sqlite" or connection.is_in_memory_db():
        return
    options = connection.settings_dict.get("OPTIONS", {})
    if not options.get("transaction_mode"):
        connection.transaction_mode = "IMMEDIATE"
    if "timeout" not in options:
        connection.connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")


def ensure_wal() -> None:
    """Put the tasks' SQLite database into WAL mode, once for good, unless the project asks for another mode.

    In its other modes a commit needs a moment without readers, and who waits beside busy workers may starve. Never
    raises: what cannot be done now is tried at the next start.
    """
    connection = connections[alias()]
    if connection.vendor != "sqlite" or connection.is_in_memory_db() or _asks_for_mode(connection):  # type: ignore[attr-defined]
        return
    name = str(connection.settings_dict["NAME"])
    if connection.in_atomic_block or not Path(name).exists() or is_wal(name):
        return
    try:
        mode = _in_wal(connection)
        if mode.lower() != "wal":  # the file's place cannot share memory, as a network's
            raise OperationalError(f"it stays in {mode.upper()} mode")
    except Error as error:
        logger.warning("database=%s is not in WAL mode, and could not be put into it: %s", connection.alias, error)
        return
    told = "readers and writers no longer wait for one another. For another mode write it into OPTIONS:"
    logger.warning(
        'database=%s is in %s mode from now on: %s "init_command": "PRAGMA journal_mode=DELETE"',
        connection.alias, mode.upper(), told, extra={"event": "journal_mode", "mode": mode},
    )  # fmt: skip


def _in_wal(connection: Any) -> str:
    """Switch and return the mode that is in force then. Needs a moment in which nobody has the file open in use."""
    with engine().turnstile(), connection.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    return str(mode)


def _asks_for_mode(connection: Any) -> bool:
    return "journal_mode" in str(connection.settings_dict.get("OPTIONS", {}).get("init_command", "")).lower()


def is_wal(path: str) -> bool:
    """Return whether a file says in its header, bytes 18 and 19, that it is in WAL mode."""
    try:
        with Path(path).open("rb") as file:
            return file.read(20)[18:] == WAL_HEADER
    except OSError:
        return False
