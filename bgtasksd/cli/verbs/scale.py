"""`bgtasksd scale`: more or fewer workers, while they work."""

from __future__ import annotations

import argparse
import re
from typing import Any

from bgtasks.management.verbs import reading
from bgtasksd.cli.arguments import add_waiting
from bgtasksd.cli.asking import Facts, give
from bgtasksd.cli.printing import fail
from bgtasksd.status import USAGE

EXAMPLES = """examples:
  bgtasksd scale 8                    eight workers
  bgtasksd scale +2                   two more; -1: one fewer
  bgtasksd scale mail=3               three of those that were started with --queue mail:N

Nobody is interrupted: a worker too many leaves after its task. A restart goes back to the number it was started with.

exit codes: 0 accepted (with --wait: done), 1 refused, overtaken by another order, or not done in time, 3 not running"""

Amount = int | str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "workers", nargs="+", type=reading(read), metavar="[QUEUES=]N", help="how many workers: 8, +2, -1, mail=3"
    )
    add_waiting(parser)


def run(typed: argparse.Namespace) -> int:
    """Have the number of workers changed."""
    named = {name: amount for name, amount in typed.workers if name}
    if len(typed.workers) > 1 and len(named) < len(typed.workers):
        return fail(USAGE, "usage", "give one number, or QUEUES=N for each group once", is_json=typed.json)
    workers: Any = named or typed.workers[0][1]
    return give(typed, "scale", words, workers=workers, wait=typed.wait, timeout=typed.timeout)


def read(text: str) -> tuple[str, Amount]:
    """Return the group, "" if none is named, and a number or a difference. Raises ValueError."""
    name, _, amount = text.rpartition("=")
    if not re.fullmatch(r"[+-]?\d{1,9}", amount) or text.startswith("="):
        raise ValueError(f"{text!r} is not a number of workers: 8, +2, -1, mail=3")
    return name, int(amount) if amount.isdigit() else amount


def words(answer: Facts) -> str:
    """Return what people read."""
    if answer.get("is_over"):
        count = answer["workers_target"]
        return f"{count} {'worker' if count == 1 else 'workers'}"
    total = f"workers {_change(answer['workers_before'], answer['workers_target'])}"
    groups = [f"{each['queues']} {_change(each['before'], each['workers'])}" for each in answer["groups"]]
    return total if answer["groups"][0]["queues"] == "*" else f"{', '.join(groups)}   ({total})"


def _change(before: int, after: int) -> str:
    return f"{before} → {after}" if before != after else f"stay {after}"
