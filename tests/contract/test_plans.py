"""The plans of the hot statements: the claim's index gives the order, and nothing that waits is sorted or scanned."""

from __future__ import annotations

import itertools
import re
from functools import partial
from typing import Any

import pytest
from django.db import connection

from bgtasks.models import Task
from bgtasks.queue import claims, watermark
from bgtasks.queue.engine import Ended
from bgtasks.queue.engines import engine
from bgtasks.queue.upkeep import DUE
from tests.contract.making import ahead, enqueued, holder
from tests.settings import VENDOR

ROWS = 3000
QUEUES = tuple(f"queue{number}" for number in range(200))
ANALYSE = "ANALYZE TABLE bgtasks_task" if VENDOR == "mariadb" else "ANALYZE"
COLUMNS = "task_name, task_params, task_hash, priority, repeat, attempts, crashes, last_error, headers, backend, run_at"
COPIES = """
INSERT INTO bgtasks_task ({columns}, priority_sign, status, queue)
SELECT {columns}, priority_sign, {status}, {queue} FROM bgtasks_task WHERE id > %s AND id <= %s
"""


@pytest.fixture
def many_rows() -> None:
    """Ready, scheduled and other queues' rows by the thousand, and no statistics yet."""
    enqueued("first", queue="mail")
    enqueued("first")
    for queue, due in (("default", None), ("mail", None), ("default", ahead(3600))):
        tasks = [Task.request(task_name="tests.one", queue=queue, priority=n % 3, run_at=due) for n in range(ROWS)]
        Task.objects.bulk_create(tasks)


@pytest.fixture
def many_queues() -> tuple[str, ...]:
    """100,000 rows in 200 queues, a quarter of them scheduled, and no statistics yet."""
    for queue in QUEUES:
        enqueued("first", queue=queue)
    fill_queues()
    return QUEUES


def fill_queues() -> None:
    tasks = [Task.request(task_name="tests.one", queue="queue0", priority=n % 3) for n in range(ROWS)]
    Task.objects.bulk_create(tasks)
    last = max(Task.objects.values_list("id", flat=True))
    columns = ", ".join(map(connection.ops.quote_name, COLUMNS.split(", ")))
    number = "CAST(id % 200 AS CHAR)" if VENDOR == "mariadb" else "CAST(id % 200 AS text)"
    queue = f"CONCAT('queue', {number})" if VENDOR == "mariadb" else f"'queue' || {number}"
    with connection.cursor() as cursor:
        for status in [1] * 24 + [0] * 8:
            sql = COPIES.format(columns=columns, status=status, queue=queue.replace("%", "%%"))
            cursor.execute(sql, [last - ROWS, last])


def analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute(ANALYSE)


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
    for prepare in (lambda: None, analyse):
        prepare()
        for queues, want in itertools.product((None, ("default",), ("default", "mail")), (1, 50)):
            text = "\n".join(plans_of(partial(claims.turn, [], want, holder(queues=queues))))
            assert "bgtasks_task_ready" in text, text
            CHECKS[VENDOR](text)


def test_with_many_queues_and_rows_it_is_the_same_before_and_after_the_first_analyse(many_queues: Any) -> None:
    for prepare in (lambda: None, analyse):
        prepare()
        for queues, want in ((None, 1), (None, 50), (many_queues, 50), (("queue7",), 1), (("queue7",), 200)):
            for unknown in (frozenset(), frozenset({"tests.other"})):
                by = holder(queues=queues, unknown=unknown)
                text = "\n".join(plans_of(partial(claims.turn, [], want, by)))
                assert "bgtasks_task_ready" in text, text
                CHECKS[VENDOR](text)


@pytest.mark.parametrize("left", [0, 1, 5])
def test_it_is_the_same_while_the_statistics_are_those_of_a_nearly_empty_table(many_queues: Any, left: int) -> None:
    kept = sorted(Task.objects.values_list("id", flat=True)[:left])
    Task.objects.exclude(id__in=kept).delete()
    analyse()
    fill_queues()
    due = plan(DUE.format(now=engine().now, first=engine().first), {**engine().clock(), "limit": 5000})
    assert not re.search(r"Sort|filesort|TEMP B-TREE", due), due
    for queues, want in ((None, 1), (None, 50), (("queue7",), 1), (("queue7",), 200)):
        text = "\n".join(plans_of(partial(claims.turn, [], want, holder(queues=queues))))
        assert "bgtasks_task_ready" in text, text
        CHECKS[VENDOR](text)


def test_in_a_backlog_it_begins_where_the_last_batch_came_to_in_one_range_of_the_index(many_queues: Any) -> None:
    for prepare in (lambda: None, analyse):
        prepare()
        by = holder(queues=("queue7",))
        for _ in range(watermark.FEWEST):
            claims.turn([], 10, by)
        text = "\n".join(plans_of(partial(claims.turn, [], 10, by)))
        CHECKS[VENDOR](text)
        if VENDOR == "postgres":
            assert "ROW(claim_order, run_at, id) >= ROW(" in text.split("Index Cond:", 1)[1], text


def test_renewing_finds_its_rows_by_their_workers(many_queues: Any) -> None:
    for prepare in (lambda: None, analyse):
        prepare()
        for number in range(4):
            claims.turn([], 50, holder(number))
        text = "\n".join(plans_of(partial(claims.renew, [holder(number).name for number in range(4)], 60.0)))
        assert "bgtasks_task_running" in text, text
        assert not re.search(r"Seq Scan on bgtasks_task|SCAN bgtasks_task|bgtasks_task \| ALL", text), text


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


def test_staging_finds_what_is_due_by_its_index(many_queues: Any) -> None:
    db = engine()
    sql = DUE.format(now=db.now, first=db.first)
    for prepare in (lambda: None, analyse):
        prepare()
        text = plan(sql, {**db.clock(), "limit": 5000})
        assert "bgtasks_task_scheduled" in text, text
        assert not re.search(r"Sort|filesort|TEMP B-TREE", text), text


def test_settling_finds_its_rows_by_id(many_queues: Any) -> None:
    db = engine()
    for prepare, size in itertools.product((lambda: None, analyse), (1, 50, 200)):
        prepare()
        claimed = claims.turn([], size, holder()).claims
        ended = [Ended(one.task_id, one.token, 10) for one in claimed]
        with db.transaction() as cursor:
            # The plans are asked for when the rows are gone already: what is estimated of them is the same.
            text = "\n".join(plans_of(partial(db.finish, cursor, ended)))
        assert not re.search(r"Seq Scan on bgtasks_task|bgtasks_task_running", text), text
        assert "SCAN task" not in text, text
        assert not re.search(r"bgtasks_task \| ALL", text), text
