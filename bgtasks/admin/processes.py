"""The pages of worker processes and queues, for looking at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from bgtasks.admin.lists import ReadOnlyAdmin
from bgtasks.models import Queue, WorkerProcess


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnlyAdmin):
    """The workers of all hosts."""

    list_display = ["name", "host", "pid", "version", "queues", "started_at", "last_seen_at"]
    search_fields = ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Queue)
class QueueAdmin(ReadOnlyAdmin):
    """The queues, and which are paused."""

    list_display = ["name", "created_at", "paused_at", "paused_until", "paused_by", "pause_reason"]
    search_fields = ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
