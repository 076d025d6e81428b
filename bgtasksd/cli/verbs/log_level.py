"""`bgtasksd log-level`: how grave a record must be to be logged, from now on and until the daemon ends."""

from __future__ import annotations

import argparse

from bgtasksd.cli.asking import give
from bgtasksd.journal import LEVELS

EXAMPLES = """examples:
  bgtasksd log-level warning          no line for each task that went well
  bgtasksd log-level info             as at the start

exit codes: 0 done, 1 refused or no answer, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "level", type=str.lower, choices=[level.lower() for level in LEVELS], help="what is less grave is not logged"
    )


def run(typed: argparse.Namespace) -> int:
    """Give the order; running tasks obey when they are over."""
    return give(typed, "log-level", lambda answer: f"log level {answer['level']}", level=typed.level)
