"""The pages of what is over: completed tasks, to be run again, and every failed attempt."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from bgtasks.admin.lists import (
    FastAdmin,
    QueueFilter,
    ReadOnlyAdmin,
    delete_selected,
    ids_of,
    preformatted,
    report,
    selected,
)
from bgtasks.admin.tasks import errors_of, in_words
from bgtasks.models import CompletedTask, TaskAttempt
from bgtasks.queue import claims


@admin.action(description="Run again", permissions=["retry"])
def retry(page: FastAdmin, request: HttpRequest, queryset: QuerySet[CompletedTask]) -> None:
    tasks = selected(page, request, queryset, "put back in the queue")
    report(page, request, claims.retry(ids_of(tasks)), "put back in the queue")


@admin.register(CompletedTask)
class CompletedTaskAdmin(ReadOnlyAdmin):
    """What is over, under the id it had."""

    list_display = [
        "task_name", "task_params", "run_at", "priority", "attempts", "has_error", "locked_by", "locked_by_pid_running",
        "queue", "outcome",
    ]  # fmt: skip
    list_filter = ["outcome", QueueFilter, "run_at"]
    search_fields = ["task_name", "task_params", "verbose_name"]
    search_help_text = "an id, or part of a name or of the arguments"
    actions = [retry, delete_selected]
    fieldsets = [
        (None, {"fields": ["task_name", "task_params", "verbose_name", "outcome", "how_far", "result"]}),
        ("When", {"fields": ["created_at", "due_at", "locked_at", "run_at", "failed_at"]}),
        ("Runs", {"fields": ["attempts", "crashes", "max_attempts", "max_run_time", "locked_by", "failed_attempts"]}),
        ("Origin", {"fields": ["queue", "priority", "repeat", "repeat_until", "creator", "task_hash", "headers"]}),
    ]
    readonly_fields = ["how_far", "failed_attempts", "creator"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bgtasks.change_completedtask")

    @admin.display(boolean=True)
    def has_error(self, task: CompletedTask) -> bool:
        return task.has_error()

    @admin.display(boolean=True)
    def locked_by_pid_running(self, task: CompletedTask) -> None:
        return None

    @admin.display(description="Progress")
    def how_far(self, task: CompletedTask) -> str | None:
        return in_words(task)

    @admin.display(description="Errors")
    def failed_attempts(self, task: CompletedTask) -> str:
        return errors_of(task.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CompletedTask]) -> None:
        claims.delete_completed(ids_of(queryset))


@admin.register(TaskAttempt)
class TaskAttemptAdmin(ReadOnlyAdmin):
    """Every attempt that failed."""

    list_display = ["task_id", "attempt", "finished_at", "exception", "worker", "crashed"]
    list_filter = ["crashed", "finished_at"]
    search_fields = ["exception", "error"]
    search_help_text = "a task's id, or part of an error"
    id_field = "task_id"
    fields = ["task_id", "attempt", "worker", "started_at", "finished_at", "exception", "crashed", "traceback"]
    readonly_fields = ["traceback"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display
    def traceback(self, attempt: TaskAttempt) -> str:
        return preformatted(attempt.error)
