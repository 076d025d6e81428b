"""Tables of other packages, made as some version of these did, and dropped at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps.registry import Apps
from django.db import connection, models

Create = Callable[..., type[models.Model]]


@contextmanager
def foreign_tables() -> Iterator[Create]:
    """Give a function that makes a table of these fields, and returns its model."""
    made: list[type[models.Model]] = []

    def create(table: str, fields: dict[str, models.Field], key: Any = models.AutoField) -> type[models.Model]:
        meta = type("Meta", (), {"db_table": table, "app_label": "old", "apps": Apps()})
        ids = {"id": key(primary_key=True)} if key else {}
        members = {"__module__": __name__, "Meta": meta, **ids, **fields}
        model = type("Old", (models.Model,), members)
        with connection.schema_editor() as editor:
            editor.create_model(model)
        made.append(model)
        return model

    try:
        yield create
    finally:
        for model in made:
            with connection.schema_editor() as editor:
                editor.delete_model(model)
