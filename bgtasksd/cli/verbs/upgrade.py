"""`bgtasksd upgrade`: the daemon's own new code, in place; no worker is disturbed."""

from __future__ import annotations

import argparse
from typing import Any

from bgtasksd.cli.arguments import add_quiet, add_value
from bgtasksd.cli.asking import give

EXAMPLES = """examples:
  pip install --upgrade django-bgtasks && bgtasksd upgrade
  bgtasksd upgrade && bgtasksd reload --wait    and wait until every worker has the new code

The supervisor goes on as the new program in the same process; running tasks do not notice. A reload follows, and gives
the new code to the workers. A program that cannot be started is refused: the old one goes on.
kill -USR2 PID does the same.

exit codes: 0 done, 1 the new program was refused, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_value(parser, "--timeout", "duration", "wait no longer, then exit 1; it goes on")
    add_quiet(parser)


def run(typed: argparse.Namespace) -> int:
    """Order an upgrade and wait until the new program goes on; return 1 when the old one does."""
    words = (lambda _answer: "") if typed.quiet else _words
    return give(typed, "upgrade", words, wait=True, timeout=typed.timeout)


def _words(answer: dict[str, Any]) -> str:
    if not answer.get("is_over"):
        return f"version {answer['version']} is asked to make room…"
    return f"upgraded: version {answer['version_before']} goes on as {answer['version']}; a reload follows"
