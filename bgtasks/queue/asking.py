"""Asking other hosts to tell of ends, while somebody here waits for one: by the database, where it can notify."""

from __future__ import annotations

import os
import time

from bgtasks import waking
from bgtasks.identity import this_process
from bgtasks.models import WorkerProcess
from bgtasks.queue.engines import engine

EVERY, FOR = 5.0, 15.0
"""Seconds between two askings of a process that waits, and how long the others tell after each."""

_asked: dict[int, float] = {}
"""By process, for forks are others: when it was last considered, monotonic."""


def ask_other_hosts() -> None:
    """Have them tell of what ends there, if there are any with workers. Now and then: most calls do nothing."""
    now = time.monotonic()
    if now - _asked.get(os.getpid(), float("-inf")) < EVERY:
        return
    _asked[os.getpid()] = now
    connection = engine().connection
    if waking.can_notify(connection):
        workers = WorkerProcess.objects.using(connection.alias)
        if workers.exclude(host=this_process().host).exists():
            waking.ask(connection, FOR)
