"""Rows of the live table as tuples, and the values they become: column lists, Claims, storable text."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from bgtasks.models import Task
from bgtasks.models.request import Request
from bgtasks.queue.types import Claim

LIVE = tuple(field.attname for field in Task._meta.concrete_fields)
"""Names of the live table's columns, in the order in which rows travel; column and attribute have one name here."""
SHARED = ("id", *(field.attname for field in Request._meta.concrete_fields if field.attname != "failed_at"))
"""Columns that a row takes along to the history as they are."""
TIMES = tuple(at for at, field in enumerate(Task._meta.concrete_fields) if field.get_internal_type() == "DateTimeField")
"""Positions of the datetimes in a live row."""
ID, CLAIM_ORDER, RUN_AT = (LIVE.index(name) for name in ("id", "claim_order", "run_at"))
ERROR_LENGTH = 65_536
"""Characters kept of an error: a longer one might not fit into the database's packets, and could never be settled."""


def names(columns: Iterable[str], table: str = "", quote: str = '"') -> str:
    """Return a column list, quoted: `repeat` is a reserved word in some dialects."""
    return ", ".join(f"{table}{quote}{column}{quote}" for column in columns)


def taken_along(error: str, quote: str = '"') -> str:
    """Return the SELECT list for `SHARED` from the live row named `task`; `error`, if not NULL, is its last error."""
    shown = {"last_error": f"COALESCE({error}, task.last_error) AS last_error"}
    return ", ".join(shown.get(column, f"task.{quote}{column}{quote}") for column in SHARED)


def id_list(rows: Iterable[tuple[Any, ...]]) -> str:
    """Return the first column of these rows, which are ids, for an IN (…)."""
    return ", ".join(str(int(row[0])) for row in rows)


def new_token() -> int:
    """Return the random proof of a claim: 63 bits, never 0."""
    return secrets.randbits(63) or 1


def in_claim_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return live rows in the order in which they are to be run."""
    return sorted(rows, key=lambda row: (row[CLAIM_ORDER], row[RUN_AT], row[ID]))


def claim_of(row: tuple[Any, ...]) -> Claim:
    """Return the claim that a row of the live table, just claimed, stands for."""
    columns = dict(zip(LIVE, row, strict=True))
    return Claim(
        task_id=columns["id"],
        token=columns["claim"],
        task_name=columns["task_name"],
        task_params=columns["task_params"],
        queue=columns["queue"],
        attempts=columns["attempts"],
        crashes=columns["crashes"],
        max_attempts=columns["max_attempts"],
        max_run_time=columns["max_run_time"],
        run_at=columns["run_at"],
        locked_at=columns["locked_at"],
        locked_by=columns["locked_by"],
        row=columns,
    )


def storable(text: str) -> str:
    """Return an error text that every database takes: no NUL, no lone surrogate, not endless."""
    if len(text) > ERROR_LENGTH:
        text = text[: ERROR_LENGTH // 4] + "\n[…]\n" + text[-ERROR_LENGTH * 3 // 4 :]
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
