"""The rows of worker processes: written when one begins, taken away when it ends."""

from __future__ import annotations

from bgtasks.models import WorkerProcess
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.upkeep import database_now


def register(worker: WorkerProcess) -> WorkerProcess:
    """Write down who this worker is, so that its death can be told from its silence."""
    worker.started_at = worker.last_seen_at = database_now()
    with engine().turnstile():
        worker.save(using=alias())
    return worker


def forget(name: str) -> None:
    """Take a worker's row away: it has left, and holds nothing."""
    with engine().turnstile():
        WorkerProcess.objects.using(alias()).filter(name=name).delete()


def workers_of_this_boot(host: str, boot_id: str, pid_namespace: str) -> list[WorkerProcess]:
    """Return the workers whose processes this host can look for."""
    here = WorkerProcess.objects.using(alias()).filter(host=host, boot_id=boot_id, pid_namespace=pid_namespace)
    return list(here.order_by("id"))
