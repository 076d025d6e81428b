"""The task that does nothing, for peers that implement Django's Tasks framework; and the loops that store it."""

from __future__ import annotations

from django.tasks import task

from benchmarks.peers.peer import ARGUMENTS, NAMED


@task
def nothing(text: str, number: int, *, flag: bool = False) -> None:
    """Do nothing."""


def enqueue() -> None:
    """Store one, in a transaction of its own."""
    nothing.enqueue(*ARGUMENTS, **NAMED)


def fill(count: int) -> None:
    """Store that many, a thousand in a transaction."""
    from django.db import transaction

    for first in range(0, count, 1000):
        with transaction.atomic():
            for _ in range(first, min(first + 1000, count)):
                enqueue()
