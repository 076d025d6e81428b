"""Tables that another package has left behind, whatever its version: read and written by the columns that are there.

`django_migrations` says nothing of use: there were releases without migrations, and projects that made their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from django.apps.registry import Apps
from django.db import connections, models, transaction

from bgtasks.queue import claims

Columns: TypeAlias = Mapping[str, Callable[..., Any]]
"""Name of a column → class of its field."""


class NoTable(Exception):
    """The database has no such table, or one that is somebody else's; the message says which."""


class ForeignTable:
    """One of these tables."""

    def __init__(self, alias: str, name: str, always: Columns, later: Columns) -> None:
        """Look at its columns: what every version had, and what came in the course of time. Raises NoTable."""
        self.alias = alias
        self.name = name
        self.columns = _columns(alias, name)
        missing = sorted(set(always) - self.columns)
        if missing:
            raise NoTable(f"the table {name} in the database {alias!r} is not the old package's: no {missing[0]}")
        self.model = _model(name, {each: field for each, field in {**always, **later}.items() if each in self.columns})

    @property
    def rows(self) -> models.QuerySet[Any]:
        """Every row, by id."""
        return self.model._default_manager.using(self.alias).order_by("id")

    def add(self, rows: Sequence[Any]) -> None:
        """Insert unsaved rows."""
        self.model._default_manager.using(self.alias).bulk_create(rows)

    def change(self, ids: Sequence[int], **columns: Any) -> None:
        """Write these columns of the rows with these ids."""
        self.rows.filter(id__in=ids).update(**columns)

    def change_all(self, **columns: Any) -> None:
        """Write these columns of every row; the table may have no id."""
        self.model._default_manager.using(self.alias).update(**columns)

    def remove(self, ids: Sequence[int]) -> None:
        """Delete the rows with these ids."""
        self.rows.filter(id__in=ids).delete()

    def transaction(self) -> AbstractContextManager[None]:
        """Return a transaction of the database in which this table is."""
        return claims.whole() if self.alias == claims.alias() else transaction.atomic(using=self.alias)

    def batches(self, size: int, chosen: models.Q | None = None) -> Iterator[list[Any]]:
        """Yield the rows in batches by id. What is deleted or added meanwhile does no harm."""
        last: int | None = None
        while True:
            batch = list(self.after(last, size, chosen))
            if not batch:
                return
            yield batch
            last = batch[-1].id

    def after(self, last: int | None, size: int, chosen: models.Q | None = None) -> models.QuerySet[Any]:
        """Return the batch that follows an id."""
        rows = self.rows if chosen is None else self.rows.filter(chosen)
        return (rows if last is None else rows.filter(id__gt=last))[:size]


def _columns(alias: str, name: str) -> set[str]:
    connection = connections[alias]
    with connection.cursor() as cursor:
        if name not in connection.introspection.table_names(cursor):
            raise NoTable(f"there is no table {name} in the database {alias!r}")
        return {column.name for column in connection.introspection.get_table_description(cursor, name)}


def _model(table: str, columns: Columns) -> type[models.Model]:
    """Return a model of these columns, in a registry of its own: only to read and write values."""
    fields = {name: field(null=True) for name, field in columns.items()}
    meta = type("Meta", (), {"db_table": table, "managed": False, "app_label": "bgtasks_legacy", "apps": Apps()})
    members = {"__module__": __name__, "Meta": meta, "id": models.BigAutoField(primary_key=True), **fields}
    return type("Old", (models.Model,), members)
