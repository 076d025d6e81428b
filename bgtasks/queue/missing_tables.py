"""Whether an error of the database means that our migrations have not been run: by what each vendor says of it."""

from __future__ import annotations

import re

POSTGRESQL = ("42P01", "42703")
"""SQLSTATE of a table and of a column that are not there: the words may be of any language, and name nothing else."""
MYSQL = {1146: re.compile(r"\.bgtasks_\w+'"), 1054: re.compile(r"'bgtasks_\w+\.")}
"""Numbers of the same two, with how the table is named: the database's own name may begin like it."""
SQLITE = re.compile(r"no such (table|column): (\w+\.)?bgtasks_|table bgtasks_\w+ has no column named")
OURS = re.compile(r"\bbgtasks_")


def are_missing(error: BaseException) -> bool:
    """Say whether a table of ours, or a column of one, is not there."""
    text = str(error)
    state = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        return state in POSTGRESQL and OURS.search(text) is not None
    number = error.args[0] if error.args else None
    pattern = MYSQL.get(number) if isinstance(number, int) else SQLITE
    return pattern is not None and pattern.search(text) is not None
