"""PostgreSQL's own way to wake other hosts: NOTIFY after the commit, and one connection a host that LISTENs."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from typing import Any

from django.db import connections
from django.db.utils import load_backend

from bgtasks import conf, waking
from bgtasks.waking import Notice
from bgtasks.waking.sending import sender

logger = logging.getLogger("bgtasks.waking")

CHANNEL = "bgtasks"
# A transaction of its own, and its commit waits for no disk. The caller's must not hold it: commits with a
# notification queue up behind one another in the whole server.
NOTIFY = f"SELECT set_config('synchronous_commit', 'off', true), pg_notify('{CHANNEL}', %s)"
LONGEST_PAUSE = 60.0
PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 2,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""Between two notices hours may pass: a connection that is gone must be noticed without them."""


def notify(connection: Any, text: str) -> None:
    """Tell every host that listens."""
    with connection.cursor() as cursor:
        cursor.execute(NOTIFY, [text])


def listener() -> Listener | None:
    """Return what hears other hosts; None where the settings or the database know no such thing."""
    settings = conf.current()
    connection = connections[settings.database]
    if not settings.wake or settings.listen is False or connection.vendor not in waking.NOTIFIERS:
        return None
    return Listener(settings.database)


class Listener:
    """A direct connection of its own, opened again whenever it breaks. Its owner looks when it is readable."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.failures = 0
        self.retry_at = 0.0
        self.is_given_up = False
        self._connection: Any = None
        self._texts: list[str] = []
        """What the driver has read; also while it waited for an answer to something else, as to LISTEN."""

    def fileno(self) -> int | None:
        """Return the descriptor to wait for; None while there is no connection."""
        return None if self._connection is None else self._connection.connection.fileno()

    def open_if_due(self) -> bool:
        """Connect if there is no connection and it is time to try; true if from now on it hears what is told.

        What was told before, nobody has heard: its owner looks once.
        """
        if self._connection is not None or self.is_given_up or time.monotonic() < self.retry_at:
            return False
        try:
            self._open()
        except Exception as error:  # noqa: BLE001 - whatever it is, polling goes on
            self._note_failure(error)
        return self._connection is not None

    def seconds_until_next(self) -> float:
        """Return how long there is no need to try to connect."""
        if self._connection is not None or self.is_given_up:
            return float("inf")
        return max(0.0, self.retry_at - time.monotonic())

    def heard(self) -> list[Notice]:
        """Return what other processes have told since the last time, as far as the connection got."""
        if self._connection is None:
            return []
        try:
            self._receive(self._connection.connection.pgconn)
        except Exception as error:  # noqa: BLE001 - whatever it is, polling goes on
            self._note_failure(error)
        texts, self._texts = self._texts, []
        notices = [waking.parse(text) for text in texts]
        return [each for each in notices if each is not None and not (each.mark.startswith(sender.prefix or " "))]

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        given = conf.current().listen
        overrides = given if isinstance(given, Mapping) else {}
        made = _connection_like(connections[self.alias], overrides)
        try:
            self.is_given_up = not self._begin(made, is_direct=bool(overrides))
        except BaseException:
            made.close()
            raise
        if self.is_given_up:
            made.close()
            hint = "polling instead; BGTASKS['LISTEN'] can name a direct way, as in {'PORT': 5432}"
            logger.info("database=%s a pooler stands before it, through which nobody can listen: %s", self.alias, hint)
            return
        if self.failures:
            logger.info("database=%s listening again", self.alias)
        self._connection, self.failures = made, 0

    def _begin(self, made: Any, *, is_direct: bool) -> bool:
        """Connect and LISTEN; false if that would be a pooler's connection, and nobody said that it is none."""
        with made.cursor() as cursor:
            made.connection.add_notify_handler(lambda told: self._texts.append(told.payload))
            cursor.execute("SELECT pg_backend_pid()")
            if not is_direct and cursor.fetchone()[0] != made.connection.info.backend_pid:
                return False
            cursor.execute(f"LISTEN {CHANNEL}")
        return True

    def _receive(self, driver: Any) -> None:
        """Take in what has come, without waiting. Raises the driver's error for a broken connection."""
        driver.consume_input()
        while (notification := driver.notifies()) is not None:
            self._texts.append(notification.extra.decode(errors="replace"))

    def _note_failure(self, error: Exception) -> None:
        self.close_silently()
        self.failures += 1
        pause = min(LONGEST_PAUSE, 0.5 * 2.0 ** min(self.failures - 1, 10))
        self.retry_at = time.monotonic() + pause * random.uniform(0.8, 1.0)  # noqa: S311 - no secret
        if self.failures == 2:  # one is what a restart of the database looks like
            reason = f"{type(error).__name__}: {error}".strip()
            logger.warning("database=%s cannot listen there, polling until it can: %s", self.alias, reason)

    def close_silently(self) -> None:
        """Give up a connection, whatever its driver says about it."""
        made, self._connection = self._connection, None
        if made is not None:
            try:
                made.close()
            except Exception as error:  # noqa: BLE001 - it is given up in any case
                logger.debug("database=%s closing raised %s", self.alias, type(error).__name__)


def _connection_like(connection: Any, overrides: Mapping[str, Any]) -> Any:
    """Return an unopened connection with the same settings, but for the overrides, and in no pool."""
    given = {**connection.settings_dict, **overrides}
    options = {name: value for name, value in given["OPTIONS"].items() if name != "pool"}
    settings = {**given, "OPTIONS": {**PATIENCE, **options}, "CONN_MAX_AGE": None}
    return load_backend(settings["ENGINE"]).DatabaseWrapper(settings, connection.alias)
