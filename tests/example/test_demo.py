"""The example shop runs, unchanged, on each database: `make demo` in full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]


def test_the_demo_keeps_what_it_promises() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO_", "BGTASKSD_"))}
    environment["PYTHONPATH"] = str(ROOT)
    database = environment.get("BGTASKS_TEST_DB", "sqlite")
    command = [sys.executable, "examples/shop/demo.py", "--database", database]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=360)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "All as promised" in ran.stdout
