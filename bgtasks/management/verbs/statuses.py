"""The statuses of tasks as people write them: which there are, and the option that chooses among them."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser
from collections.abc import Sequence

from bgtasks.management.verbs import reading

WAITING = ("scheduled", "ready", "held")
LIVE = ("scheduled", "ready", "running", "held")
OVER = ("successful", "failed", "cancelled")
WORDS = "words_to_complete"
"""The attribute of an option by which shells learn its values, where `choices` would refuse several with commas."""


def add_status(parser: ArgumentParser, known: Sequence[str]) -> None:
    """Add the option; what is chosen is a list."""
    chosen = parser.add_argument(
        "--status", type=reading(lambda text: _read(text, known)), action="extend", metavar="STATUS",
        help=f"only these, separated by commas: {', '.join(known)}",
    )  # fmt: skip
    setattr(chosen, WORDS, known)


def _read(text: str, known: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not names:  # no filter is another thing than one that a script left empty
        raise ValueError(f"{text!r} names no status: write one or more of {', '.join(known)}")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ValueError(f"{name!r} is not one of {', '.join(known)}" + (f": {near[0]}?" if near else ""))
    return names
