"""What `make test` says about a database that does not answer, and when that is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK = "tests/test_repository.py::test_every_file_is_named_after_a_subject"


def run(database: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one quick test, with no database server to be found."""
    unreachable = {"PGPORT": "1", "MYSQL_PORT": "1", "CI": "false"}
    return subprocess.run(
        [sys.executable, "tests/databases.py", "--database", database, "--", "-p", "no:randomly", QUICK],
        cwd=ROOT,
        env={**os.environ, **unreachable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_database_that_does_not_answer_is_named_and_left_out() -> None:
    ran = run("all")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "postgres  LEFT OUT: " in ran.stdout
    assert "mariadb   LEFT OUT: " in ran.stdout
    assert "======== 1 passed in " in ran.stdout.splitlines()[-1]


def test_in_ci_nothing_may_be_left_out() -> None:
    ran = run("all", CI="true")
    assert ran.returncode == 1
    assert "nothing may be left out here, and postgres, mariadb was" in ran.stdout


def test_a_database_that_was_asked_for_may_not_be_left_out() -> None:
    assert run("postgres").returncode == 1
