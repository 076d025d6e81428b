"""COMPATIBILITY 4.1: a task scheduled at import by several processes at once is there once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bgtasks.models import Task

CODE = """
import django, sys; django.setup()
from bgtasks.tasks import TaskSchedule
from tests.project.tasks import ping
sys.stdin.readline()
print(ping(1, repeat=60, schedule={"run_at": 600, "action": int(sys.argv[1])}) is not None)
"""


@pytest.mark.processes
@pytest.mark.parametrize("action", [1, 2])
def test_eight_processes_that_schedule_the_same_task_leave_one_row(
    child_environment: dict[str, str], action: int
) -> None:
    command = [sys.executable, "-c", CODE, str(action)]
    started = [
        subprocess.Popen(command, env=child_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120)[0].strip() for process in started]
    assert sorted(answers) == ["False"] * 7 + ["True"]
    assert Task.objects.count() == 1
