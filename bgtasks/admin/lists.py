"""Lists that stay fast on a million rows, and what all pages share: capped counts, cut texts, capped actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import actions
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from bgtasks.models import Queue, WorkerProcess
from bgtasks.output import format_count

CAP = 10_000
"""Rows a list leads to, and rows one action changes: beyond it, filter or search."""

FIELDS_BESIDE_ROWS = 10
"""In a confirmation: the token, the action and the like."""
SHOWN_IN_LIST = 200
SHOWN = 10_000
"""Characters of a text."""


Deletion = tuple[list[str], dict[str, int], set[str], list[str]]
"""What a confirmation shows: the objects, counts by kind, permissions missing, and objects protected."""


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs alone
    """Counts no further than the cap: counting a whole table takes seconds at 10 M rows."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by().values("pk")[: CAP + 1].count()
        return min(CAP, counted)


class FastChangeList(ChangeList):
    """A list page whose rows are all read in one query, with what they need from other tables in one more."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the page's own order: `?o=` would sort a whole table by a column without an index."""
        return list(self.model_admin.get_ordering(request))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list) if self.result_count else []  # nothing matched: no second scan
        live = live_workers(row.locked_by for row in self.result_list if getattr(row, "locked_by", None))
        for row in self.result_list:
            row.worker_is_live = getattr(row, "locked_by", None) in live
            for name in ("task_params", "error"):
                if len(getattr(row, name, "")) > SHOWN_IN_LIST:
                    setattr(row, name, getattr(row, name)[:SHOWN_IN_LIST] + "…")


def live_workers(names: Iterable[str]) -> set[str]:
    """Return those of the names that belong to a worker process on record."""
    wanted = set(names)
    return set(WorkerProcess.objects.filter(name__in=wanted).values_list("name", flat=True)) if wanted else set()


class QueueFilter(admin.SimpleListFilter):
    """Filters by queue; the choices come from the small table of queues, not from a scan of the tasks."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in Queue.objects.order_by("name").values_list("name", flat=True)[:100]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(queue=self.value()) if self.value() else queryset


class FastAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Pages that never count, sort or join a whole table, on which nothing can be added by hand."""

    ordering = ["-pk"]
    sortable_by = ()  # only the primary key can be sorted by at every size
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_max_show_all = 1000

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FastChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Find an id, written `48213` or `t48213`, by the primary key; any other text by the search fields."""
        number = search_term.strip().removeprefix("t")
        if number.isascii() and number.isdigit() and len(number) < 19:
            return queryset.filter(**{self.id_field: int(number)}), False
        return super().get_search_results(request, queryset, search_term)

    id_field = "pk"

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[Any], list[str]]:
        """Name the first rows only: a confirmation must not list a million."""
        first = [str(one) for one in objs[:100]]
        count = len(objs[: CAP + 1])
        more = [f"… {format_count(count, CAP)} in all"] if count > len(first) else []
        refused = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [*first, *more], {str(self.opts.verbose_name_plural): count}, refused, []


class ReadOnlyAdmin(FastAdmin):
    """Pages for looking at."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.action(description=gettext_lazy("Delete selected %(verbose_name_plural)s"), permissions=["delete"])
def delete_selected(page: FastAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
    """Do what Django's own does, for no more rows than its confirmation, which names each, may send back."""
    fields = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    most = CAP if fields is None else max(1, min(CAP, fields - FIELDS_BESIDE_ROWS))
    ids = _first(page, request, queryset.values_list("pk", flat=True), most)
    return actions.delete_selected(page, request, queryset.filter(pk__in=ids))


def selected(page: FastAdmin, request: HttpRequest, queryset: QuerySet[Any], done: str) -> list[Any]:
    """Return the rows an action is for, at most the cap, and note in the admin's log what is done to them."""
    rows = _first(page, request, queryset, CAP)
    user_id = request.user.pk
    if user_id is not None and rows:
        LogEntry.objects.log_actions(user_id, rows, CHANGE, done)
    return rows


def _first(page: FastAdmin, request: HttpRequest, queryset: QuerySet[Any], most: int) -> list[Any]:
    rows = list(queryset.order_by("pk")[: most + 1])
    if len(rows) > most:
        text = f"Only the first {most:,} were taken; repeat the action for the rest."
        page.message_user(request, text, messages.WARNING)
    return rows[:most]


def report(page: FastAdmin, request: HttpRequest, count: int, done: str) -> None:
    """Tell how many rows an action changed."""
    noun = page.opts.verbose_name if count == 1 else page.opts.verbose_name_plural
    page.message_user(request, f"{count:,} {noun} {done}.", messages.SUCCESS if count else messages.WARNING)


def preformatted(text: str) -> str:
    """Return text for a page as it is, escaped, and cut if it is long."""
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]}\n… {len(text) - SHOWN:,} characters more"
    return format_html("<pre>{}</pre>", cut)


def ids_of(rows: Iterable[Model]) -> list[int]:
    return [row.pk for row in rows]
