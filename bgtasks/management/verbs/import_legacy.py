"""`import-legacy`: take over the rows of django-background-tasks, all-or-nothing for each batch."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime, timedelta

from bgtasks.management.verbs import USAGE, Answer, NotDone, reading
from bgtasks.management.verbs.old_tables import add_old_tables, refuse_unknown_database
from bgtasks.units import parse_duration

SUMMARY = "Take over the rows of django-background-tasks."
EXAMPLES = """examples:
  bgtasksd import-legacy --dry-run    what is there, and what a person has to look at
  bgtasksd import-legacy              move what waits; run it again after an interruption
  bgtasksd import-legacy --completed --since 30d

Stop the old worker first. Each batch is one transaction that inserts the rows here and deletes them there.

exit codes: 0 done, 1 nothing was done, or rows were left behind; 2 usage"""
FREED = "stop the old worker and wait for its end; then --locked requeue takes them over, --locked skip leaves them"
SHOWN = 10
"""Ids of rows that a message names."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("--completed", action="store_true", help="take the old history over as well")
    parser.add_argument(
        "--since", type=reading(parse_duration), metavar="TIME", help="of the old history only what ended less long ago"
    )
    parser.add_argument(
        "--locked",
        choices=("requeue", "skip"),
        help="what an old worker may still be running: requeue it (you say that worker is stopped), or skip it",
    )
    parser.add_argument(
        "--dedupe-repeating", action="store_true", help="of repeating tasks that are equal keep the earliest alone"
    )
    parser.add_argument("--keep-source", action="store_true", help="copy: leave the old rows where they are")
    add_old_tables(parser)


def run(given: Namespace) -> Answer:
    """Take the rows over, or look, and report. Raises NotDone."""
    from bgtasks.compat.legacy import Import, NoTable, StillLocked  # imports models
    from bgtasks.discovery import autodiscover

    if given.since is not None and not given.completed:
        raise NotDone("--since goes with --completed: what waits is taken over whole", code="usage", exit_code=USAGE)
    if given.completed and not given.dry_run:
        _refuse_to_forget_at_once()
    refuse_unknown_database(given.database)
    autodiscover()
    try:
        going = Import(
            alias=given.database, batch=given.batch, locked=given.locked, with_history=given.completed,
            since=_since(given.since), dedupe_repeating=given.dedupe_repeating, keep_source=given.keep_source,
        )  # fmt: skip
        report = going.look() if given.dry_run else going.run()
    except NoTable as error:
        raise NotDone(str(error), code="no_table", fix="--database says where the old tables are") from error
    except StillLocked as error:
        raise NotDone(f"{error}: {_listed(error.ids)}", code="still_locked", fix=FREED) from error
    facts = report.facts(is_dry=given.dry_run)
    return Answer(report.text(is_dry=given.dry_run), facts, exit_code=1 if report.left else 0)


def _refuse_to_forget_at_once() -> None:
    """Old history is old: by the defaults most of it would be pruned within minutes."""
    from bgtasks import conf  # reads the settings

    if "KEEP" not in conf.given_keys():
        fix = 'write in the settings: BGTASKS = {"KEEP": None} (for ever), or {"KEEP": "365d"}'
        raise NotDone("say first how long history is to be kept: it is pruned after a week by default",
                      code="keep", fix=fix)  # fmt: skip


def _since(seconds: float | None) -> datetime | None:
    from django.utils import timezone  # only after Django is set up

    return None if seconds is None else timezone.now() - timedelta(seconds=seconds)


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:SHOWN])) + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
