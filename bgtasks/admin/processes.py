"""The pages of worker processes and queues: for looking at, and queues can be paused and resumed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from bgtasks.admin.lists import ReadOnlyAdmin, report, selected
from bgtasks.models import Queue, WorkerProcess
from bgtasks.queue.pausing import LONGEST_TEXT, pause_rows, resume_rows


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnlyAdmin):
    """The workers of all hosts."""

    list_display = ["name", "host", "pid", "version", "queues", "started_at", "last_seen_at"]
    search_fields = ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.action(description="Pause: let no task start, on any host", permissions=["pause"])
def pause(page: QueueAdmin, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
    rows = selected(page, request, queryset, "paused")
    pause_rows(rows, by=request.user.get_username()[:LONGEST_TEXT])
    report(page, request, len(rows), "paused")


@admin.action(description="Resume: let tasks start again", permissions=["pause"])
def resume(page: QueueAdmin, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
    rows = selected(page, request, queryset, "resumed")
    report(page, request, len(resume_rows(rows)), "resumed")


@admin.register(Queue)
class QueueAdmin(ReadOnlyAdmin):
    """The queues, and which are paused."""

    list_display = ["name", "is_paused", "paused_at", "paused_until", "paused_by", "pause_reason", "created_at"]
    search_fields = ["name"]
    actions = [pause, resume]

    @admin.display(boolean=True, description="Paused")
    def is_paused(self, queue: Queue) -> bool:
        return queue.is_paused()

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Tell who may pause: nothing else of a queue can be changed."""
        return request.user.has_perm("bgtasks.change_queue")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
