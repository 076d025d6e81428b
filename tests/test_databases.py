"""What `make test` says about a database that does not answer and about tests that fail, and when that is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK = "tests/test_repository.py::test_every_file_is_named_after_a_subject"


def run(database: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one quick test or what is named, with no database server to be found."""
    chosen = arguments or (QUICK,)
    unreachable = {"PGPORT": "1", "MYSQL_PORT": "1", "CI": "false"}
    return subprocess.run(
        [sys.executable, "tests/databases.py", "--database", database, "--", "-p", "no:randomly", *chosen],
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


def failing(directory: Path, tests: int, *, times: int) -> tuple[str, ...]:
    """Write tests that fail so many times, and return the arguments that run them."""
    named = directory / "test_failing.py"
    named.write_text(
        "import pathlib, pytest\n"
        f"@pytest.mark.parametrize('number', range({tests}))\n"
        "def test_in_vain(number):\n"
        "    tries = pathlib.Path(__file__).with_name(f'tries-{number}')\n"
        "    with tries.open('a') as file: file.write('.')\n"
        f"    assert len(tries.read_text()) > {times}\n"
    )
    return "-c", str(ROOT / "pyproject.toml"), str(named)


def test_a_failure_that_does_not_repeat_alone_is_named_as_flaky(tmp_path: Path) -> None:
    ran = run("sqlite", *failing(tmp_path, 2, times=1))
    assert ran.returncode == 0, ran.stdout
    assert "FLAKY: " in ran.stdout
    assert "test_in_vain[1] failed beside other tests and passed alone" in ran.stdout
    assert "======== 2 flaky in " in ran.stdout.splitlines()[-1]


def test_a_failure_that_repeats_is_one(tmp_path: Path) -> None:
    ran = run("sqlite", *failing(tmp_path, 2, times=2))
    assert ran.returncode == 1, ran.stdout
    assert "======== 2 failed in " in ran.stdout.splitlines()[-1]


def test_many_failures_are_not_tried_again(tmp_path: Path) -> None:
    ran = run("sqlite", *failing(tmp_path, 6, times=1))
    assert ran.returncode == 1, ran.stdout
    assert "======== 6 failed in " in ran.stdout.splitlines()[-1]
    assert (tmp_path / "tries-5").read_text() == "."
