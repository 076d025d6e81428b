"""`bgtasksd prune` as people run it: without a daemon, as JSON, and cut short by Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from bgtasks.models import CompletedTask, TaskAttempt
from tests.contract.test_pruning import make_history
from tests.daemon import SLOW_MACHINE
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
MANY = 3000


def test_it_needs_no_daemon(make_daemon):
    make_history(5, 20 * 86400)
    project = make_daemon()
    asked = project.command("prune", "--older-than", "14d", "--json")
    assert (asked.returncode, json.loads(asked.stdout)["error"]["code"]) == (2, "not_confirmed")
    asked = project.command("prune", "--older-than", "14d", "--yes", "--batch", "2")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "pruned 5 successful\n", "")
    assert not CompletedTask.objects.exists()


def test_ctrl_c_leaves_no_batch_half_done(make_daemon):
    make_history(MANY, 20 * 86400)
    project = make_daemon()
    command = [sys.executable, "-m", "bgtasksd", "prune", "--older-than", "14d", "--yes", "--batch", "1", "--json"]
    pruning = subprocess.Popen(
        command, env=project.environment(), cwd=project.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: CompletedTask.objects.count() < MANY, SLOW_MACHINE, "a first batch")
        pruning.send_signal(signal.SIGINT)
        told, errors = pruning.communicate(timeout=60)
    finally:
        pruning.kill()
        pruning.wait()
    assert (pruning.returncode, errors) == (130, b"")
    answer = json.loads(told)
    left = CompletedTask.objects.count()
    assert answer["interrupted"]
    assert answer["pruned"]["successful"] == MANY - left
    assert 0 < left < MANY
    assert TaskAttempt.objects.count() == left
