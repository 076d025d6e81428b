"""Opening the door of `django.tasks`: only for projects whose settings name our backend, so that others pay nothing."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from bgtasks import registry


def open_to_django_tasks() -> None:
    """Let workers of this process run rows of `django.tasks`, if `TASKS` names our backend or a class made of it."""
    if any(_is_ours(alias.get("BACKEND", "")) for alias in getattr(settings, "TASKS", {}).values()):
        from bgtasks.compat.django_tasks.door import DjangoTasks  # imports models

        registry.other_door = DjangoTasks()


def _is_ours(path: str) -> bool:
    if path.startswith("bgtasks."):
        return True
    if not path or path.startswith(("django.", "django_tasks.")):
        return False
    from bgtasks.compat.django_tasks import DatabaseBackend  # only where django.tasks is used

    try:
        return issubclass(import_string(path), DatabaseBackend)
    except (ImportError, TypeError):
        return False  # the system check of django.tasks says what is wrong
