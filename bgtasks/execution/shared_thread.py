"""What is synchronous in coroutines that run side by side, the ORM above all: one thread, one set of connections."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.db import close_old_connections

from bgtasks.execution.connections import close_connections, tidy_connections

PATIENCE = 2.0
"""Seconds for closing its connections, when the worker leaves; a call that hangs there is left behind."""


class SharedThread:
    """Begins when a coroutine first needs it. A thread for each would mean a connection for each, up to hundreds."""

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()
        """Those of `asyncio.to_thread` as well: they stay for the next one that needs them."""
        self.others = ThreadPoolExecutor(thread_name_prefix="bgtasks-to-thread", initializer=self._note)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="bgtasks-coroutines", initializer=self._note)
        self._mark = ThreadSensitiveContext()
        SyncToAsync.context_to_thread_executor[self._mark] = self._executor
        self.context = copy_context()
        """In a copy of it a coroutine runs: its context variables are its own, this thread is everybody's."""
        self.context.run(SyncToAsync.thread_sensitive_context.set, self._mark)

    def tidy(self) -> None:
        """Have transactions closed that were left open. Between two calls nobody can be in the middle of one."""
        if self.threads:
            self._executor.submit(tidy_connections)

    def rest(self) -> None:
        """Have connections closed that Django would close between two requests."""
        if self.threads:
            self._executor.submit(close_old_connections)

    def close(self) -> None:
        """End both, and the connections."""
        if self.threads:
            closing: Future[None] = self._executor.submit(close_connections)
            try:
                closing.result(PATIENCE)
            except TimeoutError:
                closing.cancel()
        for executor in (self._executor, self.others):
            executor.shutdown(wait=False, cancel_futures=True)

    def _note(self) -> None:
        self.threads.add(threading.current_thread())
