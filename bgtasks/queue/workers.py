"""The rows of worker processes: written when one begins, taken away when it ends."""

from __future__ import annotations

from bgtasks.models import WorkerProcess
from bgtasks.queue.engines import alias, engine

COLUMNS = tuple(
    field.attname
    for field in WorkerProcess._meta.concrete_fields
    if field.attname not in ("id", "started_at", "last_seen_at")
)
# In SQL, for the first use of the ORM costs a worker 1.4 MB that it would share with nobody.
REGISTER = f"""
INSERT INTO bgtasks_workerprocess ({", ".join(COLUMNS)}, started_at, last_seen_at)
VALUES ({", ".join(f"%({column})s" for column in COLUMNS)}, {{now}}, {{now}})
"""
FORGET = "DELETE FROM bgtasks_workerprocess WHERE name = %(name)s"


def register(worker: WorkerProcess) -> None:
    """Write down who this unsaved worker is, by the database's clock: its death can then be told from its silence."""
    db = engine()
    values = {column: getattr(worker, column) for column in COLUMNS}
    with db.transaction() as cursor:
        db.execute(cursor, REGISTER.format(now=db.now), **values)


def forget(name: str) -> None:
    """Take a worker's row away: it has left, and holds nothing."""
    db = engine()
    with db.transaction() as cursor:
        db.execute(cursor, FORGET, name=name)


def workers_of_this_boot(host: str, boot_id: str, pid_namespace: str) -> list[WorkerProcess]:
    """Return the workers whose processes this host can look for."""
    here = WorkerProcess.objects.using(alias()).filter(host=host, boot_id=boot_id, pid_namespace=pid_namespace)
    return list(here.order_by("id"))
