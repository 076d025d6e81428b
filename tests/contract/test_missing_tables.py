"""Where our migrations have not been run: told from a database that is not there, whatever its name."""

from __future__ import annotations

import pytest
from django.db import Error, OperationalError, ProgrammingError, connection, transaction

from bgtasks.queue import claims


def refusal(statement: str) -> Error:
    """Return what the database says to it."""
    with pytest.raises(Error) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    return refused.value


@pytest.mark.parametrize(
    "statement", ["SELECT 1 FROM bgtasks_nowhere", "SELECT bgtasks_task.nonesuch FROM bgtasks_task"]
)
def test_a_table_or_column_of_ours_that_is_not_there(statement: str) -> None:
    assert claims.are_missing(refusal(statement))


@pytest.mark.parametrize(
    "statement", ["SELECT 1 FROM nowhere", "SELECT FROM WHERE bgtasks_task", "DROP TABLE nowhere_bgtasks_task"]
)
def test_what_somebody_else_has_forgotten_is_another_thing(statement: str) -> None:
    assert not claims.are_missing(refusal(statement))


def test_a_database_that_is_not_there_is_not_migrated_by_migrating() -> None:
    elsewhere = connection.copy()
    name = "/nowhere/bgtasks_prod/db.sqlite3" if connection.vendor == "sqlite" else "bgtasks_prod"
    elsewhere.settings_dict = {**elsewhere.settings_dict, "NAME": name}
    with pytest.raises(OperationalError) as refused:
        elsewhere.ensure_connection()
    assert not claims.are_missing(refused.value)


def test_a_database_may_be_named_like_our_tables() -> None:
    theirs = ProgrammingError(1146, "Table 'bgtasks_prod.auth_user' doesn't exist")
    ours = ProgrammingError(1146, "Table 'bgtasks_prod.bgtasks_task' doesn't exist")
    assert (claims.are_missing(theirs), claims.are_missing(ours)) == (False, True)
