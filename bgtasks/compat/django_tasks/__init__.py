"""The other door: `django.tasks`, Django's own or the backport, for the same table and the same workers."""

from bgtasks.compat.django_tasks.backend import DatabaseBackend
from bgtasks.compat.django_tasks.task import DatabaseTask, DatabaseTaskContext, task

__all__ = ["DatabaseBackend", "DatabaseTask", "DatabaseTaskContext", "task"]
