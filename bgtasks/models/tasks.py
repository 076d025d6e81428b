"""The live table: what is still to be done. Reading, and the user's own ORM writes, which never touch a claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import models, router
from django.db.models.base import ModelState
from django.db.models.functions import Cast
from django.utils import timezone

from bgtasks import conf
from bgtasks.arguments import encode, hash_of
from bgtasks.models.request import DEFAULT_QUEUE, WAITING, Request, Status, owned_by
from bgtasks.models.workers import Queue, WorkerProcess

HELD_BACK = frozenset(
    {"id", "status", "claim", "locked_by", "locked_at", "locked_until", "cancel_requested_at", "claim_order"}
)
"""Fields that only `bgtasks.queue` writes."""


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
            repeat=repeat or Task.NEVER,
            repeat_until=repeat_until,
            **({} if creator is None else owned_by(creator)),
        )


class Task(Request):
    """One request to run a function that is not over yet."""

    run_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(null=True, blank=True)
    status = models.SmallIntegerField(choices=Status.choices, default=Status.READY, editable=False)
    priority_sign = models.SmallIntegerField(default=-1, editable=False)
    claim_order = models.GeneratedField(
        expression=Cast("priority", models.BigIntegerField()) * models.F("priority_sign"),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )
    claim = models.BigIntegerField(null=True, blank=True, editable=False)
    locked_until = models.DateTimeField(null=True, blank=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    unique_key = models.CharField(max_length=255, null=True, blank=True)
    limit_key = models.CharField(max_length=190, null=True, blank=True)

    objects = TaskManager()

    class Meta:
        verbose_name = "task"
        # The claim's indexes are made by the migration: partial ones would warn on MySQL if they stood here.
        indexes = [models.Index(fields=["task_hash"], name="bgtasks_task_hash")]
        constraints = [models.UniqueConstraint(fields=["unique_key"], name="bgtasks_task_unique_key")]

    @classmethod
    def request(cls, **columns: Any) -> Task:
        """Return an unsaved task, due now unless `run_at` says otherwise, as the constructor would.

        Columns go by attribute name, `creator_content_type_id`. 3 µs where the constructor takes 25: for enqueueing.
        """
        task = cls.__new__(cls)
        task.__dict__ = {**_blank_columns(), **columns, "_state": ModelState()}
        return task

    @classmethod
    def from_db(cls, db: str | None, field_names: Iterable[str], values: Iterable[Any], **options: Any) -> Task:
        task = super().from_db(db, field_names, values, **options)
        task.remember()
        return task

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self.remember()

    def remember(self) -> None:
        """Note what the row holds now: `save` writes what differs from it."""
        self._stored = {name: value for name, value in self.__dict__.items() if name[0] != "_"}

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert a complete row; of a stored one write the changed fields alone, never its status or claim."""
        if self._state.adding:
            self.complete_request()
            using = kwargs.get("using") or router.db_for_write(Task, instance=self)
            Queue.objects.using(using).ensure({self.queue})
        else:
            fields = self._fields_to_write(kwargs.get("update_fields"))
            if not fields:
                return
            kwargs["update_fields"] = fields
        super().save(*args, **kwargs)
        self.remember()

    def _fields_to_write(self, asked_for: Iterable[str] | None) -> set[str]:
        stored = self.__dict__.get("_stored", {})
        changed = {
            field.attname
            for field in self._meta.concrete_fields
            if field.attname in self.__dict__ and self.__dict__[field.attname] != stored.get(field.attname, self)
        }
        if asked_for is not None:
            named = {self._meta.get_field(name).attname for name in asked_for}
            changed = named & {field.attname for field in self._meta.concrete_fields}
        if "run_at" in changed and "due_at" not in changed:
            # A task moved by hand starts a new phase of its repetition.
            self.due_at = None
            changed.add("due_at")
        return changed - HELD_BACK

    def complete_request(self) -> None:
        """Fill what a row needs and the caller of `create()` left out."""
        now = timezone.now()
        self.queue = self.queue or DEFAULT_QUEUE
        self.task_params = self.task_params or encode((), {})
        self.task_hash = self.task_hash or hash_of(self.task_name, self.task_params)
        self.run_at = self.run_at or now
        self.created_at = self.created_at or now
        self.priority_sign = sign_for(self.backend)
        if self.status in (Status.SCHEDULED, Status.READY):
            self.status = Status.SCHEDULED if self.run_at > now else Status.READY

    def locked_by_pid_running(self) -> bool | None:
        """Return whether the worker that runs this task lives, on any host; None when no worker runs it."""
        if not self.locked_by:
            return None
        return WorkerProcess.objects.using(self._state.db).filter(name=self.locked_by).exists()


@cache
def _blank_columns() -> dict[str, Any]:
    """Return what a new task's columns hold if nothing is given; a due time of None is "now" to the queue."""
    fields = [field for field in Task._meta.concrete_fields if not field.generated]
    return {**{field.attname: field.get_default() for field in fields}, "run_at": None}


def sign_for(backend: str) -> int:
    """Return what a priority is multiplied with to claim in ascending order; `django.tasks` is always DESC."""
    return 1 if not backend and conf.current().priority_ordering == "ASC" else -1
