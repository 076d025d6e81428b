"""`bgtasksd tasks` as people type it: beside a running daemon, as JSON lines, with slips of the hand."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from bgtasks.models import CompletedTask, Status
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_a_running_task_is_found_shown_cancelled_and_put_back(make_daemon):
    daemon = make_daemon(workers=1).start()
    task, waits = tasks.hang(1), tasks.quick(2)
    daemon.busy_worker("hang")
    asked = daemon.command("tasks", "list", "--status", "running,ready", "--json")
    listed = [json.loads(line) for line in asked.stdout.splitlines()]
    assert [(each["id"], each["status"]) for each in listed] == [(str(waits.pk), "ready"), (str(task.pk), "running")]
    worker = json.loads(daemon.command("tasks", "show", f"t{task.pk}", "--json").stdout)["worker"]
    assert worker == listed[1]["worker"]
    asked = daemon.command("tasks", "cancel", "--yes", str(task.pk))
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "1 running task asked to end\n", "")
    wait_until(lambda: CompletedTask.objects.filter(pk=waits.pk).exists(), SLOW_MACHINE)
    assert CompletedTask.objects.get(pk=task.pk).status == Status.CANCELLED
    shown = daemon.command("tasks", "show", str(task.pk)).stdout
    assert "bgtasks.exceptions.TaskCancelled" in shown
    assert "in hang" in shown
    asked = daemon.command("tasks", "retry", str(task.pk), str(10**9))
    assert (asked.returncode, asked.stdout) == (1, "1 task put back in the queue\n")
    assert asked.stderr == f"{10**9}: there is no such task\n"
    assert daemon.busy_worker("hang")["task_id"] == str(task.pk)


def test_it_needs_no_daemon_and_answers_slips_with_the_nearest_name(make_daemon):
    project = make_daemon()
    for slip, told in (
        (["tasks", "lst"], "did you mean 'list'?"),
        (["tasks", "list", "--limt", "3"], "did you mean '--limit'?"),
        (["taks", "list"], "did you mean 'tasks'?"),
        (["tasks", "list", "--status", "faild"], "failed?"),
    ):
        asked = project.command(*slip)
        assert asked.returncode == 2, slip
        assert told in asked.stderr, asked.stderr
    task = tasks.hang(1)
    asked = project.command("tasks", "delete", "--all", "--json")
    assert (asked.returncode, json.loads(asked.stdout)["error"]["code"]) == (2, "not_confirmed")
    asked = project.command("tasks", "--json", "cancel", str(task.pk))
    assert (asked.returncode, json.loads(asked.stdout)["done"]) == (0, 1)
    asked = project.command("tasks", "list")
    assert "cancelled" in asked.stdout


def test_a_list_fits_into_a_terminal_and_is_whole_elsewhere(make_daemon):
    project = make_daemon()
    queue = "m" * 190
    tasks.quick.using(queue=queue).enqueue(1)
    tasks.quick.enqueue(2)
    assert queue in project.command("tasks", "list").stdout
    project.variables = {"COLUMNS": "70"}
    on_a_terminal = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])"]
    lines = project.command("tasks", "list", wrapper=on_a_terminal).stdout.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 70
    assert "mmm…  " in lines[2]


@pytest.mark.parametrize("program", [["bgtasksd"], ["django", "bgtasks"]])
def test_an_answer_that_nobody_reads_or_that_cannot_be_written(make_daemon, program):
    project = make_daemon()
    tasks.quick.enqueue_many([((number,), {}) for number in range(1000)])  # more than a pipe holds
    listing = shlex.join([sys.executable, "-m", *program, "tasks", "list", "--limit", "1000", "--json"])
    ended = {}
    for behind in ("| head -1", ">/dev/full", "--queue nowhere >/dev/full"):
        ended[behind] = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{listing} {behind}"],
            env=project.environment(), cwd=project.directory, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    read, full, refused = ended.values()
    assert (read.returncode, read.stderr, json.loads(read.stdout)["status"]) == (0, "", "ready")
    said = "the answer cannot be written: No space left on device\n"
    assert (full.returncode, full.stdout) == (1, "")
    assert full.stderr in (f"bgtasksd: {said}", f"CommandError: {said}")
    assert refused.stderr == full.stderr
