"""What processes that run tasks do to SQLite: whose options stand, who waits for whom and how long."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.db.utils import load_backend

from bgtasks.queue import claims, own_processes, turnstile
from bgtasks.queue.engines import engine
from tests.contract.making import unsaved
from tests.settings import VENDOR

only_on_sqlite = pytest.mark.skipif(VENDOR != "sqlite", reason="about SQLite")


@pytest.fixture
def patient(db: None) -> Iterator[None]:
    own_processes.be_patient()
    yield
    connection_created.disconnect(dispatch_uid="bgtasks: patient connections")


def connected(path: Path | str, **options: Any) -> Any:
    """Return a new connection to a file, with these OPTIONS alone."""
    settings = {**connection.settings_dict, "ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": options}
    made = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "default")
    made.connect()
    return made


def waits(made: Any) -> int:
    milliseconds: int = made.connection.execute("PRAGMA busy_timeout").fetchone()[0]
    return milliseconds


def test_a_worker_begins_with_the_write_lock_and_waits_for_it(tmp_path: Path, patient: None) -> None:
    made = connected(tmp_path / "db")
    assert (made.transaction_mode, waits(made)) == ("IMMEDIATE", 30_000)
    made.close()
    made.connect()
    assert (made.transaction_mode, waits(made)) == ("IMMEDIATE", 30_000)
    made.close()


def test_what_the_project_says_stands(tmp_path: Path, patient: None) -> None:
    made = connected(tmp_path / "db", transaction_mode="DEFERRED", timeout=7)
    assert (made.transaction_mode, waits(made)) == ("DEFERRED", 7_000)
    made.close()


def test_a_database_in_memory_is_left_alone(patient: None) -> None:
    made = connected("file:alone?mode=memory&cache=shared")
    assert made.transaction_mode is None
    made.connection.close()  # Django keeps those in memory open


def test_other_processes_keep_their_settings(tmp_path: Path, db: None) -> None:
    made = connected(tmp_path / "db")
    assert (made.transaction_mode, waits(made)) == (None, 5_000)
    made.close()


@pytest.fixture
def lock_file(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def test_one_at_a_time_has_the_lock(lock_file: str) -> None:
    seen: list[str] = []

    def second() -> None:
        with turnstile.locked(lock_file):
            seen.append("second")

    with turnstile.locked(lock_file):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        seen.append("first")
    thread.join()
    assert seen == ["first", "second"]


def test_nobody_waits_for_ever(lock_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "LONGEST_WAIT", 0.2)
    began = time.monotonic()
    with turnstile.locked(lock_file), turnstile.locked(lock_file):
        assert 0.2 <= time.monotonic() - began < 5


def test_where_no_file_can_be_made_nobody_waits(tmp_path: Path) -> None:
    with turnstile.locked(str(tmp_path / "nowhere" / "lock")):
        pass


@pytest.fixture
def others() -> Iterator[sqlite3.Connection]:
    """Another process's connection, which waits for nothing."""
    made = sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=0, isolation_level=None)
    yield made
    made.close()


@only_on_sqlite
def test_a_deferred_transaction_gets_the_write_lock_before_it_reads(queue_tables: None, others: Any) -> None:
    connection.ensure_connection()
    mode, connection.transaction_mode = connection.transaction_mode, None  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            others.execute("BEGIN IMMEDIATE")
            others.execute("ROLLBACK")
            engine().reserve()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                others.execute("BEGIN IMMEDIATE")
        with transaction.atomic():
            claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)
    finally:
        connection.transaction_mode = mode  # type: ignore[attr-defined]


@only_on_sqlite
def test_in_a_transaction_nobody_waits_for_the_lock_file(queue_tables: None) -> None:
    name = f"{connection.settings_dict['NAME']}.bgtasks-lock"
    began = time.monotonic()
    with turnstile.locked(name), transaction.atomic(), engine().turnstile():
        assert time.monotonic() - began < turnstile.LONGEST_WAIT


@only_on_sqlite
def test_what_enqueues_at_the_commit_does_not_wait_for_its_own_process(
    queue_tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []

    def follow() -> None:
        assert not connection.in_atomic_block
        monkeypatch.setattr(turnstile, "_wait_for", refuse)
        stored.append(claims.enqueue(unsaved()).id)
        with claims.whole():
            stored.append(claims.enqueue(unsaved()).id)

    claims.enqueue(unsaved())
    with claims.whole():
        transaction.on_commit(follow)
    assert len(stored) == 2


def refuse(descriptor: int) -> None:
    raise AssertionError("waits for the lock")


@only_on_sqlite
def test_another_thread_of_the_process_waits(queue_tables: None) -> None:
    seen: list[str] = []

    def second() -> None:
        with engine().turnstile():
            seen.append("second")
        connection.close()

    with engine().turnstile():
        thread = threading.Thread(target=second)
        thread.start()
        with engine().turnstile():
            time.sleep(0.1)
        seen.append("first")
    thread.join()
    assert seen == ["first", "second"]


@only_on_sqlite
def test_a_fork_of_the_process_waits(queue_tables: None) -> None:
    with engine().turnstile():
        pid = os.fork()
        if not pid:
            os._exit(isinstance(engine().turnstile(), nullcontext))
        assert os.waitpid(pid, 0)[1] == 0
        assert isinstance(engine().turnstile(), nullcontext)
    assert not isinstance(engine().turnstile(), nullcontext)
