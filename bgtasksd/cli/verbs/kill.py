"""`bgtasksd kill`: the end of one worker that does not obey, with its stacks in the log."""

from __future__ import annotations

import argparse

from bgtasksd.cli.arguments import add_slot, add_waiting
from bgtasksd.cli.asking import Facts, give
from bgtasksd.cli.verbs.retire import replaced

EXAMPLES = """examples:
  bgtasksd kill 3                     SIGKILL for the worker of slot 3; the log has its stacks
  bgtasksd kill 3 --wait              returns when its successor is up

Its task counts an attempt and is tried again, as its retries allow. `bgtasksd tasks cancel` is for a task that nobody
wants, `bgtasksd retire` waits until the task is over.

exit codes: 0 accepted (with --wait: done), 1 refused or not done in time, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_slot(parser, "slot")
    add_waiting(parser)


def run(typed: argparse.Namespace) -> int:
    """Have a worker killed."""
    return give(typed, "kill", words, slot=typed.slot, wait=typed.wait, timeout=typed.timeout)


def words(answer: Facts) -> str:
    """Return what people read."""
    worker = answer["workers"][0]
    if answer.get("is_over"):
        return replaced(worker)
    task = f" with task {worker['task_id']} {worker['task']}" if "task" in worker else ""
    return f"slot {worker['slot']}: pid {worker['pid']} is killed{task}"
