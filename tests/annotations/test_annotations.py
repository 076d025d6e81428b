"""The public API under mypy --strict: right calls are silent, and of the wrong ones each marked line is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def mypy(path: Path) -> set[int]:
    """Return the lines that mypy refuses."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "INTERNAL ERROR" not in ran.stderr, ran.stderr
    found = [line for line in ran.stdout.splitlines() if ": error:" in line]
    assert all(path.name in line for line in found), ran.stdout
    return {int(line.split(":")[1]) for line in found}


@pytest.fixture(scope="module", autouse=True)
def _with_mypy() -> None:
    pytest.importorskip("mypy", reason="mypy is in the extra `check`")
    pytest.importorskip("mypy_django_plugin", reason="django-stubs is in the extra `check`")


def test_right_calls_are_silent() -> None:
    assert mypy(HERE / "right_calls.py") == set()


def test_every_wrong_call_is_refused_and_nothing_else() -> None:
    path = HERE / "wrong_calls.py"
    marked = {at for at, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("# wrong")}
    assert mypy(path) == marked
