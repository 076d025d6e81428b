"""Many rows, changed batch after batch: how many go into one, how far it is, and an end at Ctrl-C between two."""

from __future__ import annotations

import signal
import sys
import threading
from argparse import ArgumentParser
from time import monotonic
from typing import Any

from bgtasks.management.verbs import number_up_to, reading

INTERRUPTED = 130
"""Exit code."""
LARGEST = 10_000
TELL_EVERY = 1.0


def add_batch(parser: ArgumentParser, what: str) -> None:
    """Add the option that says how many of these go into one transaction."""
    parser.add_argument(
        "--batch", type=reading(number_up_to(LARGEST)), default=1000, metavar="N",
        help=f"{what} in one transaction (default: 1000)",
    )  # fmt: skip


class Progress:
    """How far it is, told on a terminal every second. Meanwhile Ctrl-C is noted, and only a second one raises:

    drivers make of an exception in the middle of a statement what they like.
    """

    def __init__(self, done: str) -> None:
        self.done = done
        self.is_interrupted = self.is_told = False
        self.told_at = monotonic()
        self.handler_before: Any = None

    def __enter__(self) -> Progress:
        if threading.current_thread() is threading.main_thread():
            self.handler_before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self.handler_before is not None:
            signal.signal(signal.SIGINT, self.handler_before)
        if self.is_told:
            sys.stderr.write("\n")

    def tell(self, count: int) -> None:
        """Say how many it is now, if it is time and somebody looks."""
        if sys.stderr.isatty() and monotonic() - self.told_at >= TELL_EVERY:
            self.is_told, self.told_at = True, monotonic()
            sys.stderr.write(f"\r{count:,} {self.done}…")
            sys.stderr.flush()

    def _note(self, number: int, frame: object) -> None:
        self.is_interrupted = True
        signal.signal(signal.SIGINT, self.handler_before)
