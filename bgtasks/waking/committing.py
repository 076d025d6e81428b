"""Telling of new work once it is committed: one callback a transaction, whatever happened in it. Never raises."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from bgtasks import conf
from bgtasks.waking.awaited import tell
from bgtasks.waking.notices import AWAITED, OVER, READY, SCHEDULED, Notice
from bgtasks.waking.sending import sender

logger = logging.getLogger("bgtasks.waking")

NOTIFIERS: dict[str, Callable[[Any, str], None]] = {}
"""By vendor: how this database tells other hosts. Filled by the engines that can."""
NOTIFIED_FOR = 0.025
"""Seconds in which other hosts are told once of each queue: whoever was woken looks again a little later than this."""
OPEN = "_bgtasks_news"
"""Attribute of a connection: what will be told of its transaction."""
MOST_IDS = 300
"""Of ends told to other hosts at once: a notification holds 8,000 bytes."""
MOST_QUEUES = 4
"""Told of one by one; more are told of as "some queue"."""


def ready(connection: Any, queue: str) -> None:
    """Wake somebody once the rows just made ready in the queue are committed; at once if they are."""
    _note(connection, lambda news: news.add(queue, None))


def over(connection: Any, ids: Iterable[int]) -> None:
    """Wake whoever waits for these tasks once their end is committed; at once if it is."""
    _note(connection, lambda news: news.over.extend(ids))


def can_notify(connection: Any) -> bool:
    """Say whether other hosts can be told by way of this database, and the settings want it."""
    return _notifier(connection) is not None


def _notifier(connection: Any) -> Callable[[Any, str], None] | None:
    settings = conf.current()
    is_wanted = settings.wake and settings.listen is not False
    return NOTIFIERS.get(connection.vendor) if is_wanted else None


def ask(connection: Any, seconds: float) -> None:
    """Ask other hosts to tell of what ends there, for so long. Not in a transaction: it would be heard too late."""
    notify = _notifier(connection)
    if notify is not None and not connection.in_atomic_block:
        notify(connection, str(Notice(sender.mark(), AWAITED, seconds=seconds)))


def scheduled(connection: Any, run_at: datetime, now: datetime | None = None) -> None:
    """Tell that rows were scheduled; `now` is the database's time, if it is known."""
    due_in(connection, (run_at - (now or timezone.now())).total_seconds())


def due_in(connection: Any, seconds: float) -> None:
    """Tell that rows were scheduled that are due in so many seconds."""
    _note(connection, lambda news: news.add(None, time.monotonic() + max(0.0, seconds)))


def _note(connection: Any, add: Callable[[News], object]) -> None:
    try:
        if not conf.current().wake:
            return
        news = _open(connection) if connection.in_atomic_block else None
        if news is not None:
            add(news)
            return
        news = News(connection, len(connection.run_on_commit))
        add(news)
        transaction.on_commit(news, using=connection.alias)
    except Exception as error:  # noqa: BLE001 - without autocommit and atomic() nobody tells when it is committed
        logger.debug("nobody is woken: %s", error)


def _open(connection: Any) -> News | None:
    """Return what will be told when this transaction commits. What a savepoint took back is not there any more."""
    news: News | None = getattr(connection, OPEN, None)
    callbacks = connection.run_on_commit
    if news is not None and news.position < len(callbacks) and callbacks[news.position][1] is news:
        return news
    return None


class News:
    """What one transaction has made ready or scheduled, and what has ended in it."""

    __slots__ = ("connection", "due_at", "over", "position", "queues")

    def __init__(self, connection: Any, position: int) -> None:
        self.connection = connection
        self.position = position
        """Among the callbacks of the transaction."""
        self.queues: dict[str, None] = {}
        self.due_at: float | None = None
        self.over: list[int] = []
        if connection.in_atomic_block:
            setattr(connection, OPEN, self)

    def add(self, queue: str | None, due_at: float | None) -> None:
        """Take in one more row, or many."""
        if queue is not None:
            self.queues[queue] = None
        if due_at is not None:
            self.due_at = due_at if self.due_at is None else min(due_at, self.due_at)

    def __call__(self) -> None:
        """Tell of it."""
        try:
            self.tell()
        except Exception as error:  # noqa: BLE001 - it is committed: nothing may go wrong any more
            logger.debug("nobody was woken: %s: %s", type(error).__name__, error)

    def tell(self) -> None:
        is_awaited_elsewhere = bool(self.over) and tell(self.over)
        notices = self.notices() if self.queues or self.due_at is not None else []
        for notice in notices:
            sender.send(str(notice))
        if is_awaited_elsewhere:
            notices.append(Notice(sender.mark(), OVER, ids=tuple(self.over[:MOST_IDS])))
        notify = _notifier(self.connection) if notices and not self.connection.in_atomic_block else None
        if notify is None:
            return
        for notice in notices:
            if _is_news(self.connection.alias, notice):
                notify(self.connection, str(notice))

    def notices(self) -> list[Notice]:
        """Return what is to be said of new work."""
        queues = self.queues if len(self.queues) <= MOST_QUEUES else ("",)
        notices = [Notice(sender.mark(), READY, queue=queue) for queue in queues]
        if self.due_at is not None:
            left = max(0.0, self.due_at - time.monotonic())
            notices.append(Notice(sender.mark(), SCHEDULED, seconds=left))
        return notices


_notified: dict[tuple[str, str], float] = {}
"""(alias, queue) → until when other hosts need not be told again."""
_due: dict[str, tuple[float, float]] = {}
"""alias → when other hosts were last told of a scheduled row, and when that is due."""


def _is_news(alias: str, notice: Notice) -> bool:
    """Say whether other hosts are to be told, and note that they are."""
    now = time.monotonic()
    if notice.kind == OVER:
        return True
    if notice.kind == SCHEDULED:
        due_at = now + notice.seconds
        told_at, told = _due.get(alias, (float("-inf"), 0.0))
        if now - told_at < NOTIFIED_FOR and now < told <= due_at:
            return False
        _due[alias] = now, due_at
        return True
    if now < _notified.get((alias, notice.queue), 0.0):
        return False
    if len(_notified) > 1000:
        _notified.clear()
    _notified[alias, notice.queue] = now + NOTIFIED_FOR
    return True
