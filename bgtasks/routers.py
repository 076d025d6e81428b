"""The way to the tasks of a project that keeps them in a database of their own, for the ORM and `migrate`."""

from __future__ import annotations

from typing import Any

from bgtasks import conf

LABEL = "bgtasks"


class TasksRouter:
    """Sends what belongs to bgtasks to `BGTASKS["DATABASE"]`, and has no opinion on anything else.

    Goes into `DATABASE_ROUTERS`: https://docs.djangoproject.com/en/stable/topics/db/multi-db/#using-routers
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return the alias for models of bgtasks, None for others."""
        return conf.current().database if model._meta.app_label == LABEL else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Let the tables of bgtasks be made in their database and nowhere else."""
        return db == conf.current().database if app_label == LABEL else None
