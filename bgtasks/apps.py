"""The app configuration of bgtasks."""

from __future__ import annotations

from django.apps import AppConfig


class BgtasksConfig(AppConfig):
    """Registers the system checks; task modules are imported by workers and checks, never at web start."""

    name = "bgtasks"
    verbose_name = "Background tasks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from bgtasks import checks  # noqa: F401 - importing registers them; they import models
        from bgtasks.compat import alias, doors

        doors.open_to_django_tasks()

        if alias.is_installed():
            from bgtasks.compat import writing  # imports models

            writing.attach()
