"""What the values of a daemon's options may be, each and together: said once for its settings and its command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bgtasks.queue_filters import bindings_of
from bgtasks.units import format_size

MOST_WORKERS = 1024
"""Beyond it a typing error is more likely: each is a process, with three descriptors in the supervisor."""

MOST_PLACES = 1000
"""Tasks side by side in one worker. Beyond it a process would come near the usual limit of open files."""


def possible_workers(count: int) -> int:
    """Return a number of workers. Raises ValueError, as those below do, for what cannot be."""
    if count > MOST_WORKERS:
        raise ValueError(f"{count:,} workers on one host are more than {MOST_WORKERS:,}")
    return count


def possible_queues(groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups of queues that a daemon is to serve."""
    possible_workers(sum(binding.workers for binding in bindings_of(groups)))
    return tuple(groups)


def possible_concurrency(count: int) -> int:
    """Return how many tasks may run side by side in one worker."""
    if not 1 <= count <= MOST_PLACES:
        raise ValueError(f"{count:,} tasks side by side: between 1 and {MOST_PLACES:,} are possible")
    return count


def possible_sleep(seconds: float) -> float:
    """Return the longest wait between two looks at the queue."""
    if seconds <= 0:
        raise ValueError("the wait between two looks at the queue must be longer than zero")
    return seconds


def possible_address(text: str) -> str:
    """Return where health and metrics are served: `HOST:PORT`, `[::1]:PORT` or `PORT`."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ValueError(f"{text!r} is not HOST:PORT, nor a PORT of this host alone")
    return text


class Contradiction(NamedTuple):
    """Two values that cannot hold together, and what to do."""

    text: str
    fix: str


def of_workers(asked: int | None, groups: Sequence[str], *, name: str) -> Contradiction | None:
    """Compare a number of workers, given by that name, with the numbers that stand with the queues."""
    bound = sum(binding.workers for binding in bindings_of(groups))
    if not bound or asked in (None, bound):
        return None
    text = f"{name} says {asked} workers, but the numbers with the queues ({', '.join(groups)}) make {bound}"
    return Contradiction(text, f"Leave {name} away: the sum counts")


def of_memory(least: int | None, most: int | None, *, names: tuple[str, str]) -> Contradiction | None:
    """Compare the size that replaces a worker between tasks with the one that kills it; zero and None: no limit."""
    if not least or not most or most > least:
        return None
    text = f"{names[1]} ({format_size(most)}) must be above {names[0]} ({format_size(least)})"
    return Contradiction(text, f"Write a larger {names[1]}, or leave one of the two away")
