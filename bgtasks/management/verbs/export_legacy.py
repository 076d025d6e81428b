"""`export-legacy`: the way back to django-background-tasks, for what still waits."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from bgtasks.management.verbs import Answer, NotDone
from bgtasks.management.verbs.old_tables import add_old_tables, refuse_unknown_database

SUMMARY = "Give the tasks that wait back to django-background-tasks."
EXAMPLES = """examples:
  bgtasksd export-legacy --dry-run
  bgtasksd export-legacy              its table must be there: migrate the old package first

exit codes: 0 done, 1 nothing was done, or tasks had to stay; 2 usage"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_old_tables(parser)


def run(given: Namespace) -> Answer:
    """Move the tasks, or look, and report. Raises NotDone."""
    from bgtasks.compat.legacy import Export, NoTable, report  # imports models

    refuse_unknown_database(given.database)
    try:
        going = Export(given.database, given.batch)
        count = going.look() if given.dry_run else going.run()
    except NoTable as error:
        raise NotDone(str(error), code="no_table") from error
    did = "would go (nothing was changed)" if given.dry_run else "went"
    lines = [f"{count:,} tasks {did} into background_task"]
    lines += report.lines_of("task", going.left)
    facts = {"schema_version": 1, "dry_run": given.dry_run, "moved": count, "left": report.facts_of(going.left)}
    return Answer("\n".join(lines), facts, exit_code=1 if going.left else 0)
