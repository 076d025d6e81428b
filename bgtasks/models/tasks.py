"""The live table: what is still to be done. Reading, and the user's own ORM writes, which never touch a claim."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from asgiref.sync import sync_to_async
from django.db import models, router
from django.db.models.base import ModelState
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.module_loading import import_string

from bgtasks import conf
from bgtasks.arguments import encode, hash_of
from bgtasks.due import stored_form
from bgtasks.models.questions import TaskManager
from bgtasks.models.request import DEFAULT_QUEUE, Request, Status
from bgtasks.models.workers import Queue, WorkerProcess

HELD_BACK = frozenset(
    {"id", "status", "claim", "locked_by", "locked_at", "locked_until", "cancel_requested_at", "claim_order"}
)
"""Fields that only `bgtasks.queue` writes."""


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
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Task:
        task = super().from_db(db, field_names, values, **options)
        task.remember()
        return task

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, *args: Any, **kwargs: Any
    ) -> None:
        named = None if fields is None else list(fields)
        super().refresh_from_db(using, named, *args, **kwargs)
        self.remember(None if named is None else _columns_of(named))

    def remember(self, columns: Iterable[str] | None = None) -> None:
        """Note what the row holds now, all of it or these columns: `save` writes what differs from it."""
        held, before = self.__dict__.copy(), self.__dict__.get("_stored", {})
        held.pop("_stored", None)
        self._stored = held if columns is None else {**before, **{name: held[name] for name in columns if name in held}}

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert a complete row; of a stored one write the changed fields alone, never its status or claim."""
        written: set[str] | None = None
        if self._state.adding:
            self.complete_request()
            using = kwargs.get("using") or router.db_for_write(Task, instance=self)
            Queue.objects.using(using).ensure({self.queue})
        else:
            written = self._fields_to_write(kwargs.get("update_fields"))
            if not written:
                return
            kwargs["update_fields"] = written
        super().save(*args, **kwargs)
        self.remember(written)

    def _fields_to_write(self, asked_for: Iterable[str] | None) -> set[str]:
        stored = self.__dict__.get("_stored", {})
        changed = {
            field.attname
            for field in self._meta.concrete_fields
            if field.attname in self.__dict__ and self.__dict__[field.attname] != stored.get(field.attname, self)
        }
        if asked_for is not None:
            changed = _columns_of(asked_for)
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
        self.run_at = stored_form(self.run_at or now)
        self.created_at = self.created_at or now
        self.priority_sign = sign_for(self.backend)
        if self.status in (Status.SCHEDULED, Status.READY):
            self.status = Status.SCHEDULED if self.run_at > now else Status.READY

    def cancel(self) -> bool:
        """End this task: at once if it waits; if it runs, whoever runs it raises `TaskCancelled` in it.

        A part of the transaction that is open. False: it is over already, or deleted.
        """
        # by name: the queue, which alone changes a status, knows the models and not the other way round
        asked: bool = import_string("bgtasks.queue.claims.cancel")(self.pk)
        return asked

    async def acancel(self) -> bool:
        """Do the same in a coroutine."""
        return await sync_to_async(self.cancel)()

    def locked_by_pid_running(self) -> bool | None:
        """Return whether the worker that runs this task lives, on any host; None when no worker runs it."""
        if not self.locked_by:
            return None
        return WorkerProcess.objects.using(self._state.db).filter(name=self.locked_by).exists()


def _columns_of(names: Iterable[str]) -> set[str]:
    """Return the attribute names of these fields, however they are named."""
    named = set(names)
    return {field.attname for field in Task._meta.concrete_fields if {field.name, field.attname} & named}


@cache
def _blank_columns() -> dict[str, Any]:
    """Return what a new task's columns hold if nothing is given; a due time of None is "now" to the queue."""
    fields = [field for field in Task._meta.concrete_fields if not field.generated]
    return {**{field.attname: field.get_default() for field in fields}, "run_at": None}


def sign_for(backend: str) -> int:
    """Return what a priority is multiplied with to claim in ascending order; `django.tasks` is always DESC."""
    return 1 if not backend and conf.current().priority_ordering == "ASC" else -1
