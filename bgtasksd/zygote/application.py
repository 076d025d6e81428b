"""The project's application in a process: loaded once, its task functions known; and whether forking it is safe."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import django
from django.db import connections

from bgtasksd import journal
from bgtasksd.children.channel import LARGEST
from bgtasksd.children.counts import stop_counting
from bgtasksd.children.fork import thread_count
from bgtasksd.children.heap import fill_holes
from bgtasksd.exit_codes import EXIT_CONFIGURATION, EXIT_SOFTWARE
from bgtasksd.reasons import gist, shortened
from bgtasksd.zygote import titles

SHARED = (
    *("bgtasksd.zygote.polling", "django.db.models.sql.compiler"),
    *("bgtasksd.maintenance.serving", "bgtasksd.maintenance.duties"),
)
"""What workers and maintenance need: imported before the fork it is in memory once. By name: models are imported."""


class Refused(Exception):
    """The application is there, and its settings or tasks cannot work; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Application:
    """What was loaded."""

    tasks: tuple[str, ...]


def load(root: str) -> Application:
    """Set Django up and import every module of tasks. Raises whatever the application raises."""
    if root not in sys.path:
        sys.path.insert(0, root)
    django.setup()
    journal.continue_in_child()
    # only now: these touch the settings when imported
    from bgtasks import registry
    from bgtasks.discovery import autodiscover
    from bgtasks.queue import claims

    claims.be_patient()
    claims.be_bounded()
    autodiscover()
    _refuse_what_cannot_work()
    for name in SHARED:
        import_module(name)
    return Application(tuple(registry.all_names()))


def load_to_share(root: str) -> Application:
    """Load it for processes that are forked from this one, and do what each of them does first: it is done once."""
    loaded = load(root)
    titles.writer()
    import_module("bgtasks.worker.rehearsing").rehearse()  # by name: it imports models
    return loaded


def failure(error: BaseException) -> dict[str, Any]:
    """Return what the supervisor is told of an application that cannot be loaded."""
    if isinstance(error, Refused):
        return {"text": str(error), "code": EXIT_CONFIGURATION}
    text = "\n".join([gist(error), *traceback.format_exception(error)])
    return {"text": shortened(text, LARGEST // 4), "code": EXIT_SOFTWARE}


def _refuse_what_cannot_work() -> None:
    """Run the system checks. Raises Refused with the errors for which no worker may start."""
    from bgtasks.checks import refusals  # imports models

    found = refusals()
    connections.close_all()  # some look at the database
    if found:
        raise Refused("\n".join(str(message) for message in found))


def unsafe_to_fork() -> list[str]:
    """Name what must not be there when a process forks: threads, open database connections."""
    return [*_threads(), *_open_connections()]


def _threads() -> list[str]:
    count = thread_count()
    if count == 1:
        return []
    names = [thread.name for thread in _other_threads()]
    return [f"thread {name}" for name in names] or [f"{count - 1} threads that Python does not know"]


def _other_threads() -> list[Any]:
    # the module is loaded by Django in any case; nothing here starts a thread
    import threading

    return [thread for thread in threading.enumerate() if thread is not threading.main_thread()]


def _open_connections() -> list[str]:
    return [f"database connection {each.alias}" for each in connections.all() if each.connection is not None]


def keep_shared() -> None:
    """Keep what is loaded in memory that forked workers share: the collector no longer writes to it, nor do they."""
    stop_counting()
    fill_holes()
