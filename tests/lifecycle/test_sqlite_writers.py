"""Four workers whose tasks write, beside web processes that write: nobody ever hears that the database is locked."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import ROOT, SLOW_MACHINE, Daemon
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.skipif(VENDOR != "sqlite", reason="others lock rows, not databases")]
RECOMMENDED = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
ROUNDS = 100


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """A function that makes a project with four workers on a database file of its own, as its options make it."""
    made = []

    def make(options: dict[str, Any]) -> Daemon:
        site = Daemon(tmp_path / "site", str(tmp_path / "db.sqlite3"), workers=4)
        site.add_setting(f"DATABASES['default']['OPTIONS'] = {options!r}")
        run(site, "-m", "django", "migrate", "-v", "0")
        made.append(site)
        return site

    yield make
    for site in made:
        site.close()


def run(site: Daemon, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=site.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def writing(site: Daemon, *ways: str) -> Iterator[None]:
    """Have processes write at the same time; wait for their ends, and see that nothing was raised in any."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.lifecycle.writing", way, str(ROUNDS)],
            cwd=ROOT, env=site.environment(), stderr=subprocess.PIPE, text=True,
        )
        for way in ways
    ]  # fmt: skip
    yield
    told = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * len(ways), told


def value(site: Daemon, sql: str) -> Any:
    """Return the one value that a statement reads."""
    with closing(sqlite3.connect(site.directory.parent / "db.sqlite3", timeout=20)) as connection:
        return connection.execute(sql).fetchone()[0]


def assert_all_ran(site: Daemon, count: int) -> None:
    """Wait until every task is over; each succeeded in its first attempt, and no log line speaks of trouble."""
    succeeded = "SELECT count(*) FROM bgtasks_completedtask WHERE outcome = 10 AND attempts = 1"
    wait_until(lambda: value(site, succeeded) == count, 90, f"{count} tasks done; log:\n{site.log[-3000:]}")
    assert value(site, "SELECT count(*) FROM bgtasks_taskattempt") == 0
    assert site.end() == 0
    assert not site.log_lines("locked$|database is locked|OperationalError|refused|cannot be reached|Traceback")


def test_with_the_recommended_options(make_site: Callable[..., Daemon]) -> None:
    site = make_site(RECOMMENDED).start()
    with writing(site, "autocommit", "atomic-reading-first"):
        pass
    assert_all_ran(site, 2 * ROUNDS)
    assert not site.log_lines("WAL mode|IMMEDIATE"), site.log


def test_with_djangos_defaults_workers_see_to_it_themselves(make_site: Callable[..., Daemon]) -> None:
    site = make_site({})
    assert value(site, "PRAGMA journal_mode") == "delete"
    site.start()
    assert value(site, "PRAGMA journal_mode") == "wal"
    with writing(site, "autocommit", "atomic"):
        pass
    assert_all_ran(site, 2 * ROUNDS)
    assert len(site.log_lines("is in WAL mode from now on")) == 1
    (hint,) = site.log_lines("without IMMEDIATE")
    assert "'transaction_mode': 'IMMEDIATE'" in hint


def test_another_journal_mode_stays_when_the_settings_ask_for_it(make_site: Callable[..., Daemon]) -> None:
    site = make_site({"init_command": "PRAGMA journal_mode=DELETE"}).start()
    assert value(site, "PRAGMA journal_mode") == "delete"
    run(site, "-m", "tests.lifecycle.writing", "autocommit", "3")
    assert_all_ran(site, 3)


def test_a_process_that_keeps_the_lock_file_stops_nobody(make_site: Callable[..., Daemon]) -> None:
    site = make_site(RECOMMENDED)
    with (site.directory.parent / "db.sqlite3.bgtasks-lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        site.start("--workers", "1", is_awaited=False)
        run(site, "-m", "tests.lifecycle.writing", "autocommit", "1")
        succeeded = "SELECT count(*) FROM bgtasks_completedtask WHERE outcome = 10"
        wait_until(lambda: value(site, succeeded) == 1, 3 * SLOW_MACHINE, f"a task done; log:\n{site.log}")
