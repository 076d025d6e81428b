"""The plans of the hot statements: the claim's index gives the order, and nothing that waits is sorted or scanned."""

from __future__ import annotations

import itertools
import re
from functools import partial
from typing import Any

import pytest
from django.db import connection

from bgtasks.models import Task
from bgtasks.queue import claims
from bgtasks.queue.engines import engine
from bgtasks.queue.upkeep import DUE
from tests.contract.making import ahead, enqueued, holder
from tests.settings import VENDOR

ROWS = 3000


@pytest.fixture
def many_rows() -> None:
    """Ready, scheduled and other queues' rows by the thousand, and no statistics yet."""
    enqueued("first", queue="mail")
    enqueued("first")
    for queue, due in (("default", None), ("mail", None), ("default", ahead(3600))):
        tasks = [Task.request(task_name="tests.one", queue=queue, priority=n % 3, run_at=due) for n in range(ROWS)]
        Task.objects.bulk_create(tasks)


def plan(sql: str, parameters: Any) -> str:
    """Return the database's plan of a statement as text."""
    explain = "EXPLAIN QUERY PLAN " if VENDOR == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        cursor.execute(explain + sql, parameters)
        return "\n".join(" | ".join(str(cell) for cell in row) for row in cursor.fetchall())


def plans_of(action: Any) -> list[str]:
    """Run the action; return the plans of its statements on the live table, as they are chosen at that moment."""
    statements: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        statements.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(note):
        action()
    return [plan(sql, parameters) for sql, parameters in statements if re.search("bgtasks_task(?!a)", sql)]


def test_a_claim_reads_the_head_of_the_index_without_a_sort(many_rows: None) -> None:
    for analyse in ("", "ANALYZE TABLE bgtasks_task" if VENDOR == "mariadb" else "ANALYZE"):
        with connection.cursor() as cursor:
            if analyse:
                cursor.execute(analyse)
        for queues, want in itertools.product((None, ("default",), ("default", "mail")), (1, 50)):
            text = "\n".join(plans_of(partial(claims.turn, [], want, holder(queues=queues))))
            assert "bgtasks_task_ready" in text, text
            CHECKS[VENDOR](text)


def _postgresql(text: str) -> None:
    lateral = text[text.index("bgtasks_task_ready") :]
    before = text[: text.index("bgtasks_task_ready")].splitlines()[-2:]
    assert "Seq Scan on bgtasks_task" not in text, text
    assert "Bitmap Index Scan on bgtasks_task_ready" not in text, text
    assert not any(join in text for join in ("Hash Join", "Merge Join")), text
    assert not any("Sort" in line for line in before), text
    assert "Index Cond" in lateral, text


def _mariadb(text: str) -> None:
    ready = [line for line in text.splitlines() if "bgtasks_task_ready" in line]
    assert not any("filesort" in line for line in ready), text
    assert not any("| ALL |" in line and "bgtasks_task " in line for line in text.splitlines()), text


def _sqlite(text: str) -> None:
    head = [line for line in text.splitlines() if "SEARCH head" in line]
    assert head, text
    assert all("bgtasks_task_ready (queue=?" in line for line in head), text
    # One sort is left: of the few heads that were found.
    assert text.count("USE TEMP B-TREE") <= 1, text
    assert "SCAN head" not in text, text
    assert "SCAN task" not in text, text


CHECKS = {"postgres": _postgresql, "mariadb": _mariadb, "sqlite": _sqlite}


def test_staging_finds_what_is_due_by_its_index(many_rows: None) -> None:
    db = engine()
    sql = DUE.format(now=db.now)
    text = plan(sql, {**db.clock(), "limit": 5000})
    assert "bgtasks_task_scheduled" in text, text


def test_settling_finds_its_rows_by_id(many_rows: None) -> None:
    from bgtasks.queue.engine import Ended

    db = engine()
    with db.transaction() as cursor:
        text = "\n".join(plans_of(lambda: db.finish(cursor, [Ended(n, 5, 10) for n in range(1, 21)])))
    if VENDOR == "postgres":
        assert "Seq Scan on bgtasks_task" not in text, text
    assert "SCAN task" not in text, text
    assert not re.search(r"bgtasks_task \| ALL", text), text
