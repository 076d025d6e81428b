"""steady-queue: Solid Queue's design as a backend of Django's Tasks framework."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import Peer, Setup, manage

PEER = Peer(
    package="steady-queue",
    requirements=("steady-queue", "psycopg[binary]"),
    settings={
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "steady_queue"],
        "TASKS": {
            "default": {"BACKEND": "steady_queue.backend.SteadyQueueBackend", "QUEUES": ["default"], "OPTIONS": {}}
        },
    },
    setups=(
        Setup(
            "4 processes of 3 threads",
            "`Configuration.Worker(processes=4)`, else as its README lists the defaults",
            (manage("steady_queue"),),
        ),
    ),
    remaining=(
        "SELECT (SELECT count(*) FROM steady_queue_readyexecution) "
        "+ (SELECT count(*) FROM steady_queue_claimedexecution)"
    ),
)


def more_settings() -> dict[str, Any]:
    """Return its configuration, made of its own classes."""
    from steady_queue.configuration import Configuration

    return {"STEADY_QUEUE": Configuration.Options(workers=[Configuration.Worker(processes=4)], recurring_tasks=[])}


def enqueue() -> None:
    """Store one."""
    from benchmarks.peers import work

    work.enqueue()


def fill(count: int) -> None:
    """Store that many."""
    from benchmarks.peers import work

    work.fill(count)
