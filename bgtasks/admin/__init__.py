"""The admin pages of bgtasks. They read without counting whole tables, and write through `bgtasks.queue`."""

from bgtasks.admin.history import CompletedTaskAdmin, TaskAttemptAdmin, retry
from bgtasks.admin.processes import QueueAdmin, WorkerProcessAdmin
from bgtasks.admin.tasks import TaskAdmin, cancel, dec_priority, inc_priority, run_now

__all__ = [
    "CompletedTaskAdmin",
    "QueueAdmin",
    "TaskAdmin",
    "TaskAttemptAdmin",
    "WorkerProcessAdmin",
    "cancel",
    "dec_priority",
    "inc_priority",
    "retry",
    "run_now",
]
