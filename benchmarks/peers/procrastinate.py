"""procrastinate, by its Django integration."""

from __future__ import annotations

from benchmarks.peers.peer import ARGUMENTS, NAMED, Peer, Setup, manage

PEER = Peer(
    package="procrastinate",
    requirements=("procrastinate[django]", "psycopg[binary,pool]"),
    settings={
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "procrastinate.contrib.django"],
        "PROCRASTINATE_IMPORT_PATHS": ["benchmarks.peers.procrastinate_tasks"],
    },
    setups=(
        Setup(
            "4 processes",
            "4 × `manage.py procrastinate worker`, an async task as its introduction recommends",
            (manage("procrastinate", "worker"),) * 4,
        ),
    ),
    remaining="SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
)


def enqueue() -> None:
    """Store one, in a transaction of its own."""
    from benchmarks.peers.procrastinate_tasks import nothing

    nothing.defer(text=ARGUMENTS[0], number=ARGUMENTS[1], **NAMED)


def fill(count: int) -> None:
    """Store that many by `batch_defer`, a thousand in a call."""
    from benchmarks.peers.procrastinate_tasks import nothing

    one = {"text": ARGUMENTS[0], "number": ARGUMENTS[1], **NAMED}
    for first in range(0, count, 1000):
        nothing.batch_defer(*[one] * min(1000, count - first))
