"""django-q2 with the ORM as its broker."""

from __future__ import annotations

from benchmarks.peers.peer import ARGUMENTS, NAMED, Peer, Setup, manage

PEER = Peer(
    package="django-q2",
    requirements=("django-q2", "psycopg[binary]"),
    settings={
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "django_q"],
        "Q_CLUSTER": {"name": "benchmark", "orm": "default", "workers": 4, "timeout": 60, "retry": 120},
    },
    setups=(Setup("4 workers", "`manage.py qcluster`, `workers: 4` (its brokers page, ORM)", (manage("qcluster"),)),),
    remaining="SELECT count(*) FROM django_q_ormq",
)


def nothing(text: str, number: int, *, flag: bool = False) -> None:
    """Do nothing."""


def enqueue() -> None:
    """Store one, in a transaction of its own."""
    from django_q.tasks import async_task

    async_task("benchmarks.peers.django_q2.nothing", *ARGUMENTS, **NAMED)


def fill(count: int) -> None:
    """Store that many, a thousand in a transaction."""
    from django.db import transaction

    for first in range(0, count, 1000):
        with transaction.atomic():
            for _ in range(first, min(first + 1000, count)):
                enqueue()
