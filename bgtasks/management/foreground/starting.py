"""What must be right before a worker starts, said with the command to run; and its first lines in the log."""

from __future__ import annotations

import logging

from django.core.management.base import CommandError
from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor

import bgtasks
from bgtasks import conf, registry
from bgtasks.checks import mention_database, refusals
from bgtasks.discovery import autodiscover
from bgtasks.queue import claims

logger = logging.getLogger("bgtasks.worker")

SHOWN_TASKS = 50


def prepare() -> None:
    """Load the task modules; refuse to start with what could only fail later. A broken module raises its own error."""
    claims.be_patient()
    claims.be_bounded()
    autodiscover()
    found = refusals()
    if found:
        raise CommandError("\n".join(str(message) for message in found))
    try:
        missing = _unapplied_migrations()
    except Error as error:
        logger.warning("database=%s cannot be reached yet, trying again: %s", conf.current().database, error)
        return
    if missing:
        database = conf.current().database
        option = "" if database == "default" else f" --database={database}"
        raise CommandError(f"Tables are missing ({', '.join(missing)}). Run: python manage.py migrate{option}")
    claims.ensure_wal()
    mention_database()


def _unapplied_migrations() -> list[str]:
    executor = MigrationExecutor(connections[conf.current().database])
    wanted = executor.loader.graph.leaf_nodes("bgtasks")
    return [f"{migration.app_label}.{migration.name}" for migration, _ in executor.migration_plan(wanted)]


def announce(queues: tuple[str, ...] | None, duration: float | None) -> None:
    """Say who runs, what it found and what it waits for."""
    connection = connections[conf.current().database]
    names = registry.all_names()
    more = f" and {len(names) - SHOWN_TASKS} more" if len(names) > SHOWN_TASKS else ""
    until = f"for {duration:g} s" if duration else "until Ctrl-C, which lets the running task finish"
    served, database = ", ".join(queues or ["all"]), f"{connection.display_name} {connection.settings_dict['NAME']}"
    logger.info("bgtasks %s process_tasks: %s · queues: %s · %s", bgtasks.__version__, database, served, until)
    logger.info("tasks: %s found: %s%s", len(names), ", ".join(names[:SHOWN_TASKS]) or "none", more)
