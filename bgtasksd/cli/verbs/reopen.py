"""`bgtasksd reopen`: the log file is opened again, by every process that has it open."""

from __future__ import annotations

import argparse
from typing import Any

from bgtasksd.cli.arguments import add_quiet
from bgtasksd.cli.asking import give

EXAMPLES = """examples:
  bgtasksd reopen                     the same as: kill -USR1 $(cut -d' ' -f1 DIR/bgtasksd.pid)

For logrotate, with or without `create`:

  /var/log/bgtasksd.log {
      weekly
      postrotate
          bgtasksd reopen --quiet
      endscript
  }

exit codes: 0 done, 1 the file cannot be opened, or no answer, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_quiet(parser)


def run(typed: argparse.Namespace) -> int:
    """Give the order."""
    return give(typed, "reopen", lambda answer: "" if typed.quiet else _text(answer))


def _text(answer: dict[str, Any]) -> str:
    path = answer["log_file"]
    return "the log goes to stderr: nothing to open again" if path is None else f"{path} opened again"
