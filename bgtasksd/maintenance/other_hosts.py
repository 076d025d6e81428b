"""What other hosts tell by way of the database: heard in batches, acted on here, or passed on to the supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from bgtasks import waking
from bgtasks.queue import claims
from bgtasksd.scoreboard import Page, are_all_busy

DEAFNESS = 0.01
"""Seconds."""
MOST_NOTICES, BETWEEN_NOTICES = 100, 0.5
"""Passed on at once, and seconds between two times while all workers are busy, unless the supervisor says sooner."""


class OtherHosts:
    """One connection that listens, where the database can tell anything and the settings want it."""

    def __init__(self, pages: Iterable[Page], runtime_dir: str, expect: Callable[[float], None]) -> None:
        self.pages = pages
        self.runtime_dir = runtime_dir
        self.expect = expect
        """Told of the seconds until something is due."""
        self.listener = claims.listener()
        self.hears_at = 0.0
        self.ready: dict[str, str] = {}
        """By queue, the mark of a notice that the supervisor is to be told of."""
        self.passes_on_at = 0.0

    def sources(self, *, may_listen: bool) -> tuple[list[int], float]:
        """Return what to wait for, and how long at most."""
        now, sources, seconds = time.monotonic(), list[int](), float("inf")
        if self.listener is not None and may_listen:
            if self.listener.open_if_due():
                self.expect(0.0)  # what was told until now was told to nobody
            if now < self.hears_at:
                seconds = self.hears_at - now
            elif (descriptor := self.listener.fileno()) is not None:
                sources.append(descriptor)
        return sources, min(seconds, self.passes_on_at - now) if self.ready else seconds

    def hear(self) -> None:
        """Act on what the database tells; after that be deaf for a moment, and take what comes meanwhile together."""
        if self.listener is None or time.monotonic() < self.hears_at:
            return
        notices = self.listener.heard()
        if not notices:
            return
        self.hears_at = time.monotonic() + DEAFNESS
        for notice in notices:
            if notice.kind == waking.SCHEDULED:
                self.expect(notice.seconds)
            elif notice.kind == waking.AWAITED:
                waking.note_elsewhere(self.runtime_dir, notice.seconds)
            elif notice.kind == waking.OVER:
                waking.tell(notice.ids)
        self.ready |= {notice.queue: notice.mark for notice in notices if notice.kind == waking.READY}

    def to_pass_on(self) -> dict[str, Any] | None:
        """Return marks and queues of new work; seldom while all workers are busy: then they look by themselves."""
        now = time.monotonic()
        if not self.ready or now < self.passes_on_at:
            return None
        notices = [[mark, queue] for queue, mark in self.ready.items()][:MOST_NOTICES]
        self.ready.clear()
        are_kept_back = are_all_busy(self.pages)
        self.passes_on_at = now + (BETWEEN_NOTICES if are_kept_back else 0.0)
        return {"notices": notices, "are_kept_back": are_kept_back}

    def somebody_is_free(self) -> None:
        """Pass the next on at once."""
        self.passes_on_at = 0.0
