"""`bgtasksd stacks`: where every thread of every process is at this moment."""

from __future__ import annotations

import argparse
from typing import Any

from bgtasks.output import one_line
from bgtasksd.cli.arguments import add_slot
from bgtasksd.cli.asking import give

EXAMPLES = """examples:
  bgtasksd stacks                     of all workers, the zygote and maintenance
  bgtasksd stacks 2                   of the worker in slot 2

A worker that is stuck in C code answers as well. Its task does not notice.

exit codes: 0 done, 1 refused or no answer, 3 not running"""
PATIENCE = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_slot(parser, "slot", nargs="?", more="; none: every process")


def run(typed: argparse.Namespace) -> int:
    """Print the stacks."""
    return give(typed, "stacks", _text, timeout=PATIENCE, slot=typed.slot, wait=True)


def _text(answer: dict[str, Any]) -> str:
    if not answer.get("is_over"):
        return ""  # they are being written
    return "\n\n".join(_section(process) for process in answer["processes"]) or "no process to ask"


def _section(process: dict[str, Any]) -> str:
    task = f"  task {process['task_id']} {one_line(process['task'])}" if process["task_id"] else ""
    lines = [f"    {one_line(line)}" if line else "" for line in process["stacks"].rstrip().split("\n")]
    return "\n".join([f"{process['process']}  pid {process['pid']}{task}", *lines])
