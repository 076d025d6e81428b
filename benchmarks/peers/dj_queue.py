"""dj-queue: Solid Queue's design as a backend of Django's Tasks framework."""

from __future__ import annotations

from benchmarks.peers.peer import Peer, Setup, manage

PEER = Peer(
    package="dj-queue",
    requirements=(
        "dj-queue[postgres]",
        "psycopg[binary]",
    ),
    settings={
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "dj_queue"],
        "DATABASE_ROUTERS": ["dj_queue.routers.DjQueueRouter"],
        "TASKS": {
            "default": {
                "BACKEND": "dj_queue.backend.DjQueueBackend",
                "QUEUES": [],
                "OPTIONS": {"workers": [{"queues": "*", "processes": 4}]},
            }
        },
    },
    setups=(
        Setup(
            "4 processes of 3 threads",
            "`workers: processes 4`, else as its README lists the defaults",
            (manage("dj_queue"),),
        ),
    ),
    remaining=(
        "SELECT (SELECT count(*) FROM dj_queue_ready_executions) + (SELECT count(*) FROM dj_queue_claimed_executions)"
    ),
)


def enqueue() -> None:
    """Store one."""
    from benchmarks.peers import work

    work.enqueue()


def fill(count: int) -> None:
    """Store that many."""
    from benchmarks.peers import work

    work.fill(count)
