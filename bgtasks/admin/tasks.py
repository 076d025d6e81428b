"""The page of live tasks: search, filters, run now, cancel, priority up and down."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from bgtasks.admin.lists import FastAdmin, QueueFilter, delete_selected, ids_of, preformatted, report, selected
from bgtasks.hints import missing_worker
from bgtasks.models import CompletedTask, Task, TaskAttempt
from bgtasks.progress import progress_in
from bgtasks.queue import claims


@admin.action(description="priority += 1", permissions=["change"])
def inc_priority(page: FastAdmin, request: HttpRequest, queryset: QuerySet[Task]) -> None:
    tasks = selected(page, request, queryset, "priority += 1")
    report(page, request, claims.change_priority(ids_of(tasks), 1), "moved up")


@admin.action(description="priority -= 1", permissions=["change"])
def dec_priority(page: FastAdmin, request: HttpRequest, queryset: QuerySet[Task]) -> None:
    tasks = selected(page, request, queryset, "priority -= 1")
    report(page, request, claims.change_priority(ids_of(tasks), -1), "moved down")


@admin.action(description="Run now", permissions=["change"])
def run_now(page: FastAdmin, request: HttpRequest, queryset: QuerySet[Task]) -> None:
    tasks = selected(page, request, queryset, "run now")
    report(page, request, claims.run_now(ids_of(tasks)), "made ready")


@admin.action(description="Cancel", permissions=["change"])
def cancel(page: FastAdmin, request: HttpRequest, queryset: QuerySet[Task]) -> None:
    tasks = selected(page, request, queryset, "cancelled")
    cancelled = claims.cancel_many(ids_of(tasks))
    count = len(cancelled.ended) + len(cancelled.asked)
    report(page, request, count, "cancelled, or asked to stop if running")


class HasErrorFilter(admin.SimpleListFilter):
    """Tasks that have failed at least once, or never."""

    title = "has error"
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "yes":
            return queryset.exclude(last_error="")
        return queryset.filter(last_error="") if self.value() == "no" else queryset


@admin.register(Task)
class TaskAdmin(FastAdmin):
    """What is still to be done."""

    list_display = [
        "task_name", "task_params", "run_at", "priority", "attempts", "has_error", "locked_by", "locked_by_pid_running",
        "queue", "status",
    ]  # fmt: skip
    list_filter = ["status", QueueFilter, HasErrorFilter, "run_at"]
    search_fields = ["task_name", "task_params", "verbose_name"]
    search_help_text = "an id, or part of a name or of the arguments"
    actions = [inc_priority, dec_priority, run_now, cancel, delete_selected]
    readonly_fields = [
        "task_name", "task_params", "task_hash", "status", "attempts", "crashes", "failed_attempts", "how_far",
        "locked_by", "locked_at", "locked_until", "locked_by_pid_running", "cancel_requested_at", "creator", "headers",
        "created_at", "due_at",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["task_name", "task_params", "verbose_name", "status", "how_far"]}),
        ("When", {"fields": ["run_at", "priority", "queue", "repeat", "repeat_until", "due_at", "created_at"]}),
        ("Limits", {"fields": ["max_attempts", "max_run_time"]}),
        ("Runs", {"fields": ["attempts", "crashes", "failed_attempts", "cancel_requested_at"]}),
        ("Claim", {"fields": ["locked_by", "locked_by_pid_running", "locked_at", "locked_until"]}),
        ("Origin", {"fields": ["creator", "task_hash", "headers"]}),
    ]

    @admin.display(boolean=True)
    def has_error(self, task: Task) -> bool:
        return task.has_error()

    @admin.display(boolean=True)
    def locked_by_pid_running(self, task: Task) -> bool | None:
        if not task.locked_by:
            return None
        known: bool | None = getattr(task, "worker_is_live", None)  # looked up for all rows of a list at once
        return task.locked_by_pid_running() if known is None else known

    @admin.display(description="Progress")
    def how_far(self, task: Task) -> str | None:
        return in_words(task)

    @admin.display(description="Errors")
    def failed_attempts(self, task: Task) -> str:
        return errors_of(task.pk)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        sentence = missing_worker() if request.method == "GET" else ""
        if sentence:
            messages.warning(request, sentence)
        return super().changelist_view(request, extra_context)

    def save_model(self, request: HttpRequest, obj: Task, form: Any, change: bool) -> None:
        """Write what was changed: a form shows no microseconds, and a moved time is a new phase of a repetition."""
        for name in set(form.fields) - set(form.changed_data):
            setattr(obj, name, form.initial[name])
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        _delete([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        _delete(list(queryset))


def _delete(tasks: list[Task]) -> None:
    """Delete the waiting ones; one that runs is asked to stop, and then goes to the history as cancelled."""
    claims.delete_waiting(ids_of(tasks))
    claims.cancel_many(ids_of(tasks))


def in_words(task: Task | CompletedTask) -> str | None:
    """Return how far a task is, or was when it ended; None if it has told nothing."""
    told = progress_in(task.progress)
    return None if told is None else told.in_words()


def errors_of(task_id: int) -> str:
    """Return every failed attempt of a task, the latest first."""
    attempts = TaskAttempt.objects.filter(task_id=task_id).order_by("-id")[:25]
    return preformatted("\n\n".join(map(_told, attempts)))


def _told(attempt: TaskAttempt) -> str:
    return f"attempt {attempt.attempt}, {attempt.finished_at:%Y-%m-%d %H:%M:%S}, {attempt.worker}\n{attempt.error}"
