"""What running tasks tell of their progress: written for them, so that it is no part of their transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bgtasks.maintenance.report import Report
from bgtasks.queue import claims

INTERVAL = 1.0
"""Seconds between two looks."""


class ProgressNotes:
    """A duty of whoever keeps several workers; without a query as long as nothing new is told."""

    def __init__(self, told: Callable[[], Mapping[tuple[int, int], str]]) -> None:
        self.told = told
        """Returns what the running tasks of our workers, by (id, token), have told last."""
        self.written: dict[tuple[int, int], str] = {}

    def run(self, report: Report) -> None:
        """Look once."""
        told = self.told()
        news = {held: text for held, text in told.items() if self.written.get(held) != text}
        self.written = {held: text for held, text in told.items() if held not in news}
        if news:
            written = claims.note_progress(news)
            self.written |= {held: text for held, text in news.items() if held[0] in written}
