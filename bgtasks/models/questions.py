"""The heritage's questions about live tasks, under their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

from bgtasks.arguments import encode, hash_of
from bgtasks.models.creator import owned_by
from bgtasks.models.request import DEFAULT_QUEUE, WAITING, Request, Status
from bgtasks.models.workers import Queue

if TYPE_CHECKING:
    from bgtasks.models.tasks import Task


class TaskQuerySet(models.QuerySet["Task"]):
    """Questions about live tasks."""

    def created_by(self, creator: models.Model) -> TaskQuerySet:
        """Return the tasks this model instance asked for."""
        return self.filter(**owned_by(creator))

    def bulk_create(self, objs: Iterable[Task], *args: Any, **kwargs: Any) -> list[Task]:
        """Insert rows as good as enqueued ones."""
        tasks = list(objs)
        for task in tasks:
            task.complete_request()
        Queue.objects.using(self.db).ensure({task.queue for task in tasks})
        return super().bulk_create(tasks, *args, **kwargs)


class TaskManager(models.Manager["Task"]):
    """The heritage's questions, under their names."""

    def get_queryset(self) -> TaskQuerySet:
        return TaskQuerySet(self.model, using=self._db)

    def created_by(self, creator: models.Model) -> TaskQuerySet:
        """Return the tasks this model instance asked for."""
        return self.get_queryset().created_by(creator)

    def find_available(self, queue: str | None = None) -> TaskQuerySet:
        """Return what is due and waiting, in the order in which it is claimed; no queue: of all queues."""
        due = self.get_queryset().filter(status__in=WAITING, run_at__lte=timezone.now())
        if queue is not None:
            due = due.filter(queue=queue)
        return due.order_by("claim_order", "run_at", "id")

    def unlocked(self, now: datetime | None = None) -> TaskQuerySet:
        """Return what no worker runs."""
        return self.get_queryset().exclude(status=Status.RUNNING)

    def locked(self, now: datetime | None = None) -> TaskQuerySet:
        """Return what a worker runs."""
        return self.get_queryset().filter(status=Status.RUNNING)

    def failed(self) -> TaskQuerySet:
        """Return nothing: a failed task is in the history."""
        return self.get_queryset().none()

    def get_task(
        self, task_name: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> TaskQuerySet:
        """Return the live tasks with this name and these arguments."""
        return self.get_queryset().filter(task_hash=hash_of(task_name, encode(args or (), kwargs or {})))

    def drop_task(
        self, task_name: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, int]]:
        """Delete the live tasks with this name and these arguments."""
        return self.get_task(task_name, args, kwargs).delete()

    def new_task(  # noqa: PLR0913, the heritage's signature
        self,
        task_name: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        run_at: datetime | None = None,
        priority: int = 0,
        queue: str | None = None,
        verbose_name: str | None = None,
        creator: models.Model | None = None,
        repeat: int | None = None,
        repeat_until: datetime | None = None,
        remove_existing_tasks: bool = False,
    ) -> Task:
        """Return an unsaved task. `remove_existing_tasks` deletes the waiting ones that equal it, here and now."""
        if remove_existing_tasks:
            self.get_task(task_name, args, kwargs).filter(status__in=WAITING).delete()
        params = encode(args or (), kwargs or {})
        return self.model(
            task_name=task_name,
            task_params=params,
            task_hash=hash_of(task_name, params),
            run_at=timezone.now() if run_at is None else run_at,
            priority=priority,
            queue=queue or DEFAULT_QUEUE,
            verbose_name=verbose_name,
            repeat=repeat or Request.NEVER,
            repeat_until=repeat_until,
            **({} if creator is None else owned_by(creator)),
        )
