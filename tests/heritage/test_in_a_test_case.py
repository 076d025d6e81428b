"""Running tasks inside of Django's `TestCase`: its transaction stays as it is, and what it rolled back is gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes
PATIENCE = 120.0


def test_a_project_s_own_tests_can_run_tasks() -> None:
    suffix = f"{os.environ.get('BGTASKS_TEST_SUFFIX', '')}_own"
    environ = {**os.environ, "BGTASKS_TEST_SUFFIX": suffix, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-m", "django", "test", "tests.heritage.a_test_case", "--noinput"]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "Ran 3 tests" in ran.stderr, ran.stderr
