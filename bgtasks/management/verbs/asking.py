"""Before many rows change: whoever sits at the terminal is asked."""

from __future__ import annotations

import sys

from bgtasks.management.verbs import USAGE, NotDone

COUNT_CAP = 10_000
"""No further is counted before it is asked: a whole table takes seconds."""


def ask(would: str, question: str, not_done: str) -> None:
    """Return if somebody at the terminal agrees. Raises NotDone."""
    if not sys.stdin.isatty():
        message = f"{would}, and there is nobody to ask"
        raise NotDone(message, code="not_confirmed", fix="--yes does it, --dry-run counts", exit_code=USAGE)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotDone(not_done, code="declined")
