"""The tables of another package: what the imports and the export take and refuse alike."""

from __future__ import annotations

from argparse import ArgumentParser

from bgtasks.management.verbs import USAGE, NotDone, reading, text
from bgtasks.management.verbs.batches import add_batch


def add_old_tables(parser: ArgumentParser) -> None:
    """Add the options for the rows of django-background-tasks."""
    parser.add_argument("--dry-run", action="store_true", help="look and report, change nothing")
    add_batch(parser, "rows")
    add_database(parser)


def add_database(parser: ArgumentParser) -> None:
    """Add the option that says which database it is."""
    parser.add_argument(
        "--database",
        type=reading(text),
        default="default",
        metavar="ALIAS",
        help="where the old tables are (default: default)",
    )


def refuse_unknown_database(alias: str) -> None:
    """Raise NotDone for an alias that the settings do not have."""
    from django.db import connections  # only after the front end has set Django up

    if alias not in connections:
        known = ", ".join(connections)
        raise NotDone(f"there is no database {alias!r} in the settings", code="usage", fix=known, exit_code=USAGE)
