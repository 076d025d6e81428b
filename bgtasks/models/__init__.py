"""The tables, and questions about them. What writes a status is in `bgtasks.queue`."""

from bgtasks.models.attempts import TaskAttempt
from bgtasks.models.history import CompletedTask, CompletedTaskQuerySet
from bgtasks.models.questions import TaskManager, TaskQuerySet
from bgtasks.models.request import Status
from bgtasks.models.tasks import Task
from bgtasks.models.workers import Queue, WorkerProcess

__all__ = [
    "CompletedTask",
    "CompletedTaskQuerySet",
    "Queue",
    "Status",
    "Task",
    "TaskAttempt",
    "TaskManager",
    "TaskQuerySet",
    "WorkerProcess",
]
