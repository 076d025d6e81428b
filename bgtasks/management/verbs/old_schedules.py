"""The schedules of other packages: what `import-celery-beat` and `import-django-q` both take and do."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from bgtasks.management.verbs import USAGE, Answer, NotDone, reading, text
from bgtasks.management.verbs.old_tables import add_database, refuse_unknown_database

RULES = """
Without --commit nothing is changed. With it all that can be taken over is, in one transaction. What was
taken over before is known by the end of its verbose name, and not taken twice.

exit codes: 0 done, 1 nothing was done, or schedules stay where they are; 2 usage"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what both verbs take."""
    writing = parser.add_mutually_exclusive_group()
    writing.add_argument("--commit", action="store_true", help="take them over; without it they are only looked at")
    writing.add_argument("--dry-run", action="store_true", help="look and report, change nothing: the default")
    parser.add_argument(
        "--map", action="append", default=[], type=reading(_pair), metavar="OLD=NEW",
        help="the name of a function there, and of the task function here, where they differ; again for others",
    )  # fmt: skip
    parser.add_argument(
        "--disable-source", action="store_true", help="switch off there what is taken over: else stop the old package"
    )
    add_database(parser)


def take_over(given: Namespace, source_of: Callable[[str], Any]) -> Answer:
    """Take the schedules over, or look, and report. Raises NotDone."""
    from bgtasks.compat.foreign_tables import NoTable  # imports models
    from bgtasks.compat.schedules import Import
    from bgtasks.discovery import autodiscover

    refuse_unknown_database(given.database)
    autodiscover()
    _refuse_unknown_names(dict(given.map))
    try:
        going = Import(source_of(given.database), dict(given.map), given.disable_source)
        report = going.run() if given.commit else going.look()
    except NoTable as error:
        raise NotDone(str(error), code="no_table", fix="--database says where the old tables are") from error
    facts = report.facts(is_dry=not given.commit)
    return Answer(report.text(is_dry=not given.commit), facts, exit_code=1 if report.left else 0)


def _pair(typed: str) -> tuple[str, str]:
    old, sign, new = text(typed).partition("=")
    if not (sign and old and new):
        raise ValueError(f"{typed!r} is not like old.name=new.name")
    return old, new


def _refuse_unknown_names(names: dict[str, str]) -> None:
    from bgtasks import registry  # imports Django

    for new in names.values():
        if registry.get(new) is None:
            known = ", ".join(registry.names()) or "no function is decorated with @background"
            raise NotDone(f"--map: no task function is named {new}", code="usage", fix=known, exit_code=USAGE)
