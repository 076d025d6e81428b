"""`bgtasksd retire`: fresh workers for old ones, without cutting a task."""

from __future__ import annotations

import argparse

from bgtasksd.cli.arguments import add_slot, add_waiting
from bgtasksd.cli.asking import Facts, give
from bgtasksd.cli.printing import some

EXAMPLES = """examples:
  bgtasksd retire                     all, at most a quarter of them at a time
  bgtasksd retire 2 5 --wait          the workers of slots 2 and 5; returns when their successors are up

exit codes: 0 accepted (with --wait: done), 1 refused or not done in time, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_slot(parser, "slots", nargs="*", more="; none: all")
    add_waiting(parser)


def run(typed: argparse.Namespace) -> int:
    """Have workers replaced after their task."""
    return give(typed, "retire", words, slots=typed.slots, wait=typed.wait, timeout=typed.timeout)


def words(answer: Facts) -> str:
    """Return what people read."""
    if answer.get("is_over"):
        return "\n".join(replaced(each) for each in answer["workers"]) or "no worker to replace"
    return f"{some(len(answer['workers']), 'worker')} to be replaced after their task"


def replaced(worker: Facts) -> str:
    """Return one line on a worker and its successor."""
    new = "none" if worker["new_pid"] is None else f"pid {worker['new_pid']}"
    return f"slot {worker['slot']}: pid {worker['pid']} ended: {worker['reason']}; now {new}"
