"""Which queues a claim looks at: names, prefixes, exclusions; and that what is not served or paused is not touched."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bgtasks.models import Queue, Status, Task
from bgtasks.queue import claims
from bgtasks.queue_filters import filter_of
from tests.contract.making import ahead, claim, enqueued, holder, names
from tests.contract.test_plans import CHECKS, plans_of
from tests.settings import VENDOR

ACCENTED = () if VENDOR == "mariadb" else ("mäil",)  # there it is one queue with "mail", by the collation
EXISTING = ("other", "mail", "mail-bulk", "mailing", "slow", "m_il", "m%il", r"m\il", "a'b", "[ab]", "über", *ACCENTED)
FILTERS = [
    ("mail",),
    ("mail", "slow"),
    ("mail*",),
    ("mail*", "!mail-bulk"),
    ("mail*", "!mail-*"),
    ("*",),
    ("*", "!slow"),
    ("!slow",),
    ("!slow", "!mail*"),
    ("mail*", "slow"),
    ("mail", "mail*"),
    ("mail", "slow", "!slow"),
    ("m_*",),
    ("m%*",),
    ("m\\*",),
    ("mä*", "ü*"),
    ("a'*", "[*"),
    ("*", "!m_il", "!a'b", "!m%*"),
    ("nothing*",),
]


@pytest.mark.parametrize("patterns", FILTERS, ids=",".join)
def test_what_is_claimed_is_what_the_filter_means(patterns: tuple[str, ...]) -> None:
    for queue in EXISTING:
        enqueued(queue, queue=queue)
    meant = {queue for queue in EXISTING if filter_of(patterns).matches(queue)}
    found = names(claim(50, holder(queues=patterns)))
    assert sorted(found) == sorted(meant)
    assert sorted(names(claim(50))) == sorted(set(EXISTING) - meant)


@pytest.mark.skipif(VENDOR == "mariadb", reason="there names that differ in case alone are one queue, by its collation")
def test_capital_letters_and_small_ones_differ() -> None:
    for queue in ("mail", "Mail", "MAIL-x", "mail-x"):
        enqueued(queue, queue=queue)
    assert names(claim(9, holder(queues=("mail",)))) == ["mail"]
    assert names(claim(9, holder(queues=("M*", "!Mail")))) == ["MAIL-x"]
    assert sorted(names(claim(9, holder(queues=("*", "!m*"))))) == ["Mail"]


@pytest.mark.skipif(VENDOR != "mariadb", reason="elsewhere these are two queues")
def test_names_that_are_one_by_collation_are_claimed_once_and_paused_together() -> None:
    for number in range(3):
        enqueued(str(number), queue="Mail")
    assert sorted(names(claim(2, holder(queues=("mail", "MAIL"))))) == ["0", "1"]
    Queue.objects.filter(name="Mail").update(paused_at=timezone.now())
    assert claim(9, holder(queues=("mail", "MAIL"))) == []
    Queue.objects.update(paused_at=None)
    assert names(claim(9, holder(queues=("mail", "MAIL")))) == ["2"]


def test_the_order_is_the_same_whatever_the_filter_looks_like() -> None:
    for priority, queue in ((1, "mail-a"), (9, "sms"), (5, "mail-b"), (7, "mail-a"), (3, "sms")):
        enqueued(str(priority), queue=queue, priority=priority)
    assert names(claim(2, holder(queues=("mail*", "sms")))) == ["9", "7"]
    assert names(claim(9, holder(queues=("!nothing",)))) == ["5", "3", "1"]


def test_a_new_name_is_served_as_soon_as_its_first_task_is_there() -> None:
    by = holder(queues=("mail*", "!mail-bulk"))
    assert claim(1, by) == []
    enqueued("first", queue="mail-new")
    assert names(claim(1, by)) == ["first"]


def test_names_asked_for_are_served_without_a_row_and_patterns_when_maintenance_has_made_it() -> None:
    for queue in ("mail", "sms-1"):
        enqueued(queue, queue=queue)
    Queue.objects.all().delete()
    assert names(claim(9, holder(queues=("mail", "sms*")))) == ["mail"]
    claims.give_rows_to_queues()
    assert names(claim(9, holder(queues=("mail", "sms*")))) == ["sms-1"]


@pytest.mark.parametrize("patterns", [("mail",), ("mail*",), ("mail", "x*"), ("!x",)], ids=",".join)
def test_a_pause_counts_for_every_form_of_a_filter(patterns: tuple[str, ...]) -> None:
    enqueued("paused", queue="mail")
    queue = Queue.objects.filter(name="mail")
    queue.update(paused_at=timezone.now())
    assert claim(1, holder(queues=patterns)) == []
    queue.update(paused_until=ahead(60))
    assert claim(1, holder(queues=patterns)) == []
    queue.update(paused_until=timezone.now())
    assert names(claim(1, holder(queues=patterns))) == ["paused"]


def test_a_pattern_that_cannot_be_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueError, match=re.escape("'ma*il'")):
        claim(1, holder(queues=("ma*il",)))


# -- what is not served costs nothing


def many(queue: str, count: int) -> None:
    tasks = [Task.request(task_name="tests.one", queue=queue, priority=n % 3) for n in range(count)]
    Task.objects.bulk_create(tasks)


@pytest.mark.parametrize("patterns", [("mail*",), ("mail", "sms*"), ("*", "!bulk"), ("!bulk",)], ids=",".join)
def test_a_claim_by_patterns_reads_the_heads_of_the_index_without_a_sort(patterns: tuple[str, ...]) -> None:
    for queue in ("mail", "mail-x", "bulk"):
        many(queue, 2000)
    for want in (1, 50):
        text = "\n".join(plans_of(partial(claims.turn, [], want, holder(queues=patterns))))
        assert "bgtasks_task_ready" in text, text
        CHECKS[VENDOR](text)


SERVING = {"every queue": None, "a name": ("mail",), "a prefix": ("mail*",), "all but the others": ("*", "!sms*")}


@pytest.mark.parametrize("patterns", SERVING.values(), ids=SERVING)
def test_rows_of_a_queue_that_is_paused_or_not_served_are_not_looked_at(patterns: tuple[str, ...] | None) -> None:
    for queue in ("bulk", "sms-1", "mail"):
        many(queue, 1000)  # enough for the indexes to have their second level: in an empty table they grow to it
    Queue.objects.filter(name="bulk").update(paused_at=timezone.now())
    if patterns is None or "mail" in patterns:
        Queue.objects.filter(name="sms-1").update(paused_at=timezone.now())
    claiming = partial(claim, 5, holder(queues=patterns))
    before = work_of_the_second(claiming)
    for queue in ("bulk", "sms-1"):
        many(queue, 4000)
    after = work_of_the_second(claiming)
    assert Task.objects.filter(status=Status.RUNNING).values_list("queue").distinct().get() == ("mail",)
    assert 0 < after <= before + before // 2, f"{before} before the rows were there, {after} after"


def work_of_the_second(claiming: Callable[[], Any]) -> int:
    """Return the work of a claim; the first one after a change also finds catalogues and visibility anew."""
    settle_statistics()
    claiming()
    return work(claiming)


def settle_statistics() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE bgtasks_task" if VENDOR == "mariadb" else "ANALYZE")


def test_the_measure_of_work_notices_rows_that_are_read() -> None:
    many("mail", 3000)
    settle_statistics()
    counted = work(lambda: list(Task.objects.filter(last_error="x")))
    assert counted > 60, counted


def work(action: Callable[[], Any]) -> int:
    """Return how much the database did for an action, in a unit of its own: it grows with the rows that are read."""
    return {"sqlite": _instructions, "postgres": _rows_or_pages, "mariadb": _rows_read}[VENDOR](action)


def _instructions(action: Callable[[], Any]) -> int:
    """Count the hundreds of instructions of SQLite's machine."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, 20)
    try:
        action()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return steps


def _rows_read(action: Callable[[], Any]) -> int:
    def read() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
            return sum(int(value) for _, value in cursor.fetchall())

    started = read()
    own = read() - started
    started = read()
    action()
    return read() - started - own


def _rows_or_pages(action: Callable[[], Any]) -> int:
    """Count the pages that the action's statements touch, by running each of them under EXPLAIN first."""
    pages = 0

    def explain(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        nonlocal pages
        if "bgtasks_task" in sql:
            with connection.connection.cursor() as cursor, connection.connection.transaction(force_rollback=True):
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {sql}", parameters)
                text = "\n".join(line for (line,) in cursor.fetchall())
            (buffers,) = re.findall(r"^ *Buffers: shared (.*)", text, re.MULTILINE)[:1]  # of the whole, not of a part
            pages += sum(map(int, re.findall(r"(?:hit|read)=(\d+)", buffers)))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(explain):
        action()
    return pages
