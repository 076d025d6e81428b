"""django-tasks-db: the reference backend of Django's Tasks framework."""

from __future__ import annotations

from benchmarks.peers.peer import Peer, Setup, manage

PEER = Peer(
    package="django-tasks-db",
    requirements=(
        "django-tasks-db",
        "psycopg[binary]",
    ),
    settings={
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "django_tasks_db"],
        "TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}},
    },
    setups=(Setup("4 processes", "4 × `manage.py db_worker` (its README)", (manage("db_worker"),) * 4),),
    remaining="SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status IN ('READY', 'RUNNING')",
)


def enqueue() -> None:
    """Store one."""
    from benchmarks.peers import work

    work.enqueue()


def fill(count: int) -> None:
    """Store that many."""
    from benchmarks.peers import work

    work.fill(count)
