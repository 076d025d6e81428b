"""`background_task.settings`: the old names of the settings, read live."""

from __future__ import annotations

import os

from bgtasks import conf


class AppSettings:
    """What django-background-tasks called `app_settings`."""

    @property
    def MAX_ATTEMPTS(self) -> int:
        """How often a task is tried."""
        return conf.current().max_attempts

    BACKGROUND_TASK_MAX_ATTEMPTS = MAX_ATTEMPTS

    @property
    def MAX_RUN_TIME(self) -> float | None:
        """How long a task may run, in seconds; None: for ever."""
        return conf.current().max_run_time

    BACKGROUND_TASK_MAX_RUN_TIME = MAX_RUN_TIME

    @property
    def BACKGROUND_TASK_RUN_ASYNC(self) -> bool:
        """False: there are no threads, `bgtasksd start --workers N` has processes."""
        return False

    @property
    def BACKGROUND_TASK_ASYNC_THREADS(self) -> int:
        """How many processors there are, the old default; it has no effect."""
        return os.cpu_count() or 1

    @property
    def BACKGROUND_TASK_PRIORITY_ORDERING(self) -> str:
        """What to put before `priority` to order by it: "-" when larger numbers go first."""
        return "" if conf.current().priority_ordering == "ASC" else "-"


app_settings = AppSettings()
