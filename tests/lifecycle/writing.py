"""A web process of a busy site: `python -m tests.lifecycle.writing autocommit|atomic|atomic-reading-first ROUNDS`.

Writes rows and enqueues tasks as its settings have it; whatever is raised ends it.
"""

from __future__ import annotations

import sys

import django

django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402 - only after the set-up
from django.db import transaction  # noqa: E402

from tests.lifecycle import tasks  # noqa: E402


def main(way: str, rounds: int) -> None:
    """Write so often."""
    for number in range(rounds):
        if way == "autocommit":
            write(number)
            continue
        with transaction.atomic():
            if way == "atomic-reading-first":
                assert Group.objects.count() >= 0
            write(number)


def write(number: int) -> None:
    """Write two rows and enqueue a task."""
    tasks.read_and_write.using(queue="web").enqueue(number)
    User.objects.filter(username="someone").update(first_name=str(number))
    Group.objects.create(name=f"{sys.argv[1]} {number}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
