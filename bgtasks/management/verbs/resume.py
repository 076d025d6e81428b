"""`resume [QUEUE…]`: let the tasks of paused queues start again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from bgtasks.management.verbs import Answer
from bgtasks.management.verbs.named_queues import EVERY_QUEUE, add_queues, understood
from bgtasks.output import one_line

SUMMARY = "Let the tasks of paused queues start again, on every host."
EXAMPLES = """examples:
  bgtasksd resume mail
  bgtasksd resume                     every queue

exit codes: 0 resumed, or not paused at all; 1 there is no such queue, or no database; 2 usage"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_queues(parser, "resume")


def run(given: Namespace) -> Answer:
    """Resume, and say which queues were paused. Raises NotDone."""
    from bgtasks import queues  # imports models

    asked = given.queues or [EVERY_QUEUE]
    with understood():
        resumed = [row.name for row in queues.resume(*asked)]
        others = [row.name for row in queues.matching(*asked) if row.name not in resumed]
    lines = [f"resumed: {_listed(resumed)}"] if resumed else []
    if others and (given.queues or not resumed):
        lines.append(f"not paused: {_listed(others)}")
    return Answer("\n".join(lines), {"schema_version": 1, "resumed": resumed, "not_paused": others})


def _listed(names: list[str]) -> str:
    return ", ".join(map(one_line, names))
