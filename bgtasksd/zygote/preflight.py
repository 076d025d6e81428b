"""Whether workers of a new generation could work: imports, system checks, tasks, migrations. In a child of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

from bgtasksd.children.channel import Channel
from bgtasksd.children.fork import Mask
from bgtasksd.children.linux import die_with_parent
from bgtasksd.exit_codes import EXIT_SOFTWARE
from bgtasksd.options import Options
from bgtasksd.reasons import first_line, shortened
from bgtasksd.zygote import application

MOST_NAMED = 5
LONGEST_PROBLEM = 8000
NO_DATABASE = "django.db.backends.dummy"
"""What stands for `default` where a project has left it empty."""


def report(line: Channel, options: Options, mask: Mask, *, loaded: bool) -> int:
    """Be the child: send the supervisor what is wrong, an empty list if nothing is."""
    zygote = os.getppid()
    die_with_parent(signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if os.getppid() != zygote:
        return EXIT_SOFTWARE
    try:
        if not loaded:
            application.load(options.root)
        found = list(problems())
    except BaseException as error:  # noqa: BLE001 - also a SystemExit in somebody's code
        found = [_failure(error)]
    line.send("preflight", problems=[shortened(text, LONGEST_PROBLEM) for text in found[:MOST_NAMED]])
    return 0


def _failure(error: BaseException) -> str:
    """Return why the check itself failed. Where that is the database, a traceback would say nothing more."""
    from django.db import Error, OperationalError, connections  # Django may not be loaded before

    if not isinstance(error, Error):
        return str(application.failure(error)["text"])
    is_open = all(each.connection is not None for each in connections.all(initialized_only=True))
    what = "reached" if isinstance(error, OperationalError) and not is_open else "asked"
    return f"the database cannot be {what}: {first_line(error)}"


def problems() -> Iterator[str]:
    """Yield what would keep workers from their work, for people."""
    from django.core.checks import run_checks  # Django may not be loaded before

    for message in run_checks():
        if message.is_serious() and not message.is_silenced():
            yield f"system check: {message}"
    yield from _unapplied_migrations()


def _unapplied_migrations() -> Iterator[str]:
    """Yield one sentence for each database of ours that lacks migrations, or cannot be asked."""
    from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
    from django.db.migrations.executor import MigrationExecutor

    from bgtasks.queue import claims

    for alias in dict.fromkeys((DEFAULT_DB_ALIAS, claims.alias())):
        if connections.settings[alias]["ENGINE"] == NO_DATABASE:
            continue
        try:
            executor = MigrationExecutor(connections[alias])
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError as error:
            yield f"database {alias!r} cannot be asked for its migrations: {first_line(error)}"
            continue
        if plan:
            names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            command = "python manage.py migrate" + ("" if alias == DEFAULT_DB_ALIAS else f" --database {alias}")
            yield f"unapplied migrations in {alias!r}: {', '.join(names[:MOST_NAMED])}{more}. Run: {command}"
