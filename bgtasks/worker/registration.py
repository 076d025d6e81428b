"""Who a worker is, for its row; and which task names it does not know, which are others' to run."""

from __future__ import annotations

import logging
from dataclasses import replace

import bgtasks
from bgtasks.identity import this_process
from bgtasks.models import WorkerProcess
from bgtasks.queue.types import Claim, Holder

logger = logging.getLogger("bgtasks.worker")


def process_of(holder: Holder) -> WorkerProcess:
    """Return the unsaved row of the worker that runs in this process."""
    me = this_process()
    _, instance, slot, _ = holder.name.rsplit(":", 3)
    return WorkerProcess(
        name=holder.name,
        host=me.host,
        instance=instance,
        slot=int(slot) if slot.isdigit() else 0,
        pid=me.pid,
        boot_id=me.boot_id,
        pid_namespace=me.pid_namespace,
        start_ticks=me.start_ticks,
        version=bgtasks.__version__,
        queues=",".join(holder.queues or ()),
    )


def knowing(holder: Holder, claim: Claim) -> Holder:
    """Return the holder that leaves this claim's task name alone from now on, and say so once."""
    logger.warning(
        "task=%s name=%s no function of that name is in any tasks module here; left for a process that knows it",
        claim.task_id, claim.task_name,
        extra={"event": "unknown_task", "worker": holder.name},
    )  # fmt: skip
    return replace(holder, unknown=holder.unknown | {claim.task_name})
