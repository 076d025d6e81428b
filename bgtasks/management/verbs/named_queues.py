"""Queues as people name them: the arguments, and what is said of names that lead nowhere."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager

from bgtasks.management.verbs import USAGE, NotDone, reading, text

EVERY_QUEUE = "*"


def add_queues(parser: ArgumentParser, verb: str) -> None:
    """Add the names."""
    explained = f"names, prefixes 'mail*', exclusions '!slow'; none: {verb} every queue there is now"
    parser.add_argument("queues", nargs="*", type=reading(text), metavar="QUEUE", help=explained)


@contextmanager
def understood(fix: str | None = None) -> Iterator[None]:
    """Raise NotDone where a name is wrong, or no queue has it nor one like it: then with what helps."""
    from bgtasks.exceptions import UnknownQueue  # only after the front end has set Django up

    try:
        yield
    except UnknownQueue as error:
        raise NotDone(str(error), code="unknown_queue", fix=None if error.near else fix) from error
    except ValueError as error:
        raise NotDone(str(error), code="usage", exit_code=USAGE) from error
