"""The plans that a busy connection to PostgreSQL keeps: for a second, only where it is safe, and never at any risk."""

from __future__ import annotations

import pytest
from django.db import connection, connections

from bgtasks.models import CompletedTask, Task
from bgtasks.queue import claims
from tests.contract.making import enqueued, holder, success
from tests.pooler import needs_pooler, pooler
from tests.settings import VENDOR

if VENDOR != "postgres":
    pytest.skip("only PostgreSQL's statements are prepared", allow_module_level=True)

__all__ = ["pooler"]
ROUNDS = 8
BY = holder(78)


@pytest.fixture(autouse=True)
def _new_connection():
    """What is known of a connection is known of no other."""
    connection.close()
    yield
    connection.close()


def work(rounds=ROUNDS):
    """Settle and claim one by one, as fast as it goes."""
    for number in range(rounds):
        enqueued("tests.one", number)
    turned = claims.turn([], 1, BY)
    while turned.claims:
        turned = claims.turn([success(one) for one in turned.claims], 1, BY)


def prepared():
    """Return how often each prepared statement of the connection was run with a plan that was kept."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT generic_plans FROM pg_prepared_statements")
        return [count for (count,) in cursor.fetchall()]


def test_a_busy_connection_keeps_its_plans_and_nobody_elses_statements_are_prepared():
    work(20)
    assert sum(prepared()) > 0
    before = len(prepared())
    for _ in range(10):
        Task.objects.count()
    assert len(prepared()) == before
    assert connection.connection.prepare_threshold is None


def test_who_forbids_it_is_obeyed(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"prepare_threshold": None})
    work()
    assert prepared() == []
    assert CompletedTask.objects.count() == ROUNDS


@pytest.mark.parametrize("change", ["ALTER TABLE bgtasks_task ALTER headers TYPE varchar(9999)", "DEALLOCATE ALL"])
def test_a_plan_that_became_void_costs_nothing_but_itself(change):
    work()
    kept = connections.create_connection("default")
    try:
        # DDL is another connection's; psycopg would notice DEALLOCATE ALL in a statement of its own.
        if change.startswith("ALTER"):
            with kept.cursor() as cursor:
                cursor.execute(change)
        else:
            connection.connection.pgconn.exec_(change.encode())
        work()
        assert CompletedTask.objects.count() == 2 * ROUNDS
        assert Task.objects.count() == 0
    finally:
        with kept.cursor() as cursor:
            cursor.execute("ALTER TABLE bgtasks_task ALTER headers TYPE text")
        kept.close()


@needs_pooler
def test_behind_a_pooler_in_transaction_mode_nothing_is_prepared(pooler, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patched.setitem(connection.settings_dict, "PORT", pooler.listen_port)
        work()
        assert prepared() == []
        connection.close()
    assert CompletedTask.objects.count() == ROUNDS
