"""How long the loop's own calls wait for the database, and that tasks wait as long as they like."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created

from bgtasks.queue import bounds
from bgtasks.queue.bounds import Bound, NoAnswer
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(VENDOR != "postgres", reason="only psycopg can be interrupted while it waits")
on_a_server = pytest.mark.skipif(VENDOR == "sqlite", reason="a file is no server")


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Another connection, beside ours; and no patience."""
    monkeypatch.setattr(bounds, "ANSWER_TIMEOUT", 0.6)
    monkeypatch.setattr(bounds, "LOOK", 0.2)
    made: Any = connection.copy()
    yield made
    made.close()
    connection.close()


@on_postgresql
def test_a_call_without_an_answer_ends_and_so_does_what_the_server_does_for_it(others: Any) -> None:
    with others.cursor() as theirs:
        theirs.execute("BEGIN; LOCK TABLE bgtasks_task")
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match=r"no answer within 0\.6 s"), Bound(), connection.cursor() as ours:
            ours.execute("SELECT count(*) FROM bgtasks_task")
        assert 0.4 < time.monotonic() - begun < 5
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT count%%'"

        def is_nobody_waiting() -> bool:
            theirs.execute(waiting)
            return bool(theirs.fetchone()[0] == 0)

        wait_until(is_nobody_waiting)
        theirs.execute("ROLLBACK")
    connection.close()
    with connection.cursor() as again:
        again.execute("SELECT 1")


@on_postgresql
def test_many_calls_may_take_longer_together(others: Any) -> None:
    with Bound(), connection.cursor() as ours:
        for _ in range(4):
            ours.execute("SELECT pg_sleep(0.3)")


@on_postgresql
def test_outside_of_it_nothing_is_bounded_and_the_timer_is_whoever_had_it(others: Any) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    bound = Bound()
    try:
        bound.listen()
        with bound:
            pass
        signal.raise_signal(signal.SIGALRM)
        assert heard == [signal.SIGALRM]
        with connection.cursor() as ours:
            ours.execute("SELECT pg_sleep(1.5)")
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        bound.close()
        signal.raise_signal(signal.SIGALRM)
        assert len(heard) == 2
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(VENDOR == "postgres", reason="there it does")
def test_where_the_driver_cannot_be_interrupted_it_does_nothing() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with Bound():
        assert signal.getsignal(signal.SIGALRM) is before


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The options of the database, as they are when a process of ours has bounded them."""
    options = dict(connections["default"].settings_dict["OPTIONS"])
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", options)
    connection.close()
    yield options
    connection_created.disconnect(dispatch_uid="bgtasks: bounded connections")
    connection.close()


@on_a_server
def test_connecting_is_bounded_unless_the_project_says_otherwise(bounded: dict[str, Any]) -> None:
    bounds.be_bounded()
    assert bounded["connect_timeout"] == 5
    assert "read_timeout" not in bounded
    bounded["connect_timeout"] = 60
    bounds.be_bounded()
    assert bounded["connect_timeout"] == 60


@pytest.mark.skipif(VENDOR != "mariadb", reason="psycopg has no such option")
def test_where_no_task_runs_the_driver_bounds_every_answer(bounded: dict[str, Any]) -> None:
    bounds.be_bounded(runs_tasks=False)
    assert (bounded["read_timeout"], bounded["write_timeout"]) == (10, 10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@on_a_server
def test_the_kernel_asks_a_silent_peer_whether_it_is_there(bounded: dict[str, Any]) -> None:
    bounds.be_bounded()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as way:
        assert way.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert way.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        assert way.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
