"""django-ox: a backend of Django's Tasks framework, one row a task, worker processes under a supervisor."""

from __future__ import annotations

from benchmarks.peers.peer import Peer, Setup, manage

PEER = Peer(
    package="django-ox",
    requirements=("django-ox", "psycopg[binary]"),
    settings={
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "django_ox"],
        "TASKS": {"default": {"BACKEND": "django_ox.backend.OxBackend"}},
    },
    setups=(
        Setup(
            "4 processes",
            "`manage.py ox_worker --processes 4` with persistent connections (its README)",
            (manage("ox_worker", "--processes", "4"),),
        ),
    ),
    remaining="SELECT count(*) FROM django_ox_oxtask WHERE status IN ('READY', 'RUNNING')",
)


def enqueue() -> None:
    """Store one."""
    from benchmarks.peers import work

    work.enqueue()


def fill(count: int) -> None:
    """Store that many."""
    from benchmarks.peers import work

    work.fill(count)
