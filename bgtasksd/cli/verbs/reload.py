"""`bgtasksd reload`: new code and settings, checked first, then one worker after the other; the queue keeps moving."""

from __future__ import annotations

import argparse
from typing import Any

from bgtasksd.cli.arguments import add_quiet, add_value
from bgtasksd.cli.asking import give
from bgtasksd.cli.printing import some

EXAMPLES = """examples:
  bgtasksd reload                     begin, and return at once
  bgtasksd reload --wait              say how it goes, and return when the last worker is new

What cannot work - code that does not load, unapplied migrations, wrong options - is refused: the workers go on with
the code they have. Running tasks finish. kill -HUP PID does the same.

exit codes: 0 done, or with no --wait: begun; 1 the new code was refused, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("--wait", action="store_true", help="follow it to the end: progress on stderr")
    add_value(parser, "--timeout", "duration", "with --wait: follow it no longer, then exit 1; it goes on")
    add_quiet(parser)


def run(typed: argparse.Namespace) -> int:
    """Order a reload; with `--wait` return 1 when it failed."""
    return give(typed, "reload", lambda answer: "" if typed.quiet else _words(typed, answer), **_arguments(typed))


def _arguments(typed: argparse.Namespace) -> dict[str, Any]:
    return {"wait": True, "timeout": typed.timeout, "is_stream": True} if typed.wait else {}


def _words(typed: argparse.Namespace, answer: dict[str, Any]) -> str:
    if not answer.get("is_over"):
        begun = "reload begun; `bgtasksd reload --wait` would follow it, `bgtasksd status` shows it"
        return "reloading…" if typed.wait else begun
    workers = some(answer["workers"], "worker")
    return f"reloaded in {answer['seconds']:.1f} s: generation {answer['generation']}, {workers}"
