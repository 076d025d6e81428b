"""How an idle worker waits: one more look soon after work or a wake, then seldom, for the host looks for all of it."""

from __future__ import annotations

import random

from django.db import connections

from bgtasks.queue import claims

SECOND_LOOK = 0.03
"""Seconds after coming up empty: longer than other hosts are told of a queue but once (`waking`), for the last notice
of a burst may have been swallowed. A wake may also come for what somebody else has just taken."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to reach a database that is away."""


class Resting:
    """Reckons the time until the next look at the queue."""

    def __init__(self, poll_interval: float, sharers: int) -> None:
        self.poll_interval = poll_interval
        self.sharers = sharers
        """Workers of this host that look at the same queues: it is enough if the host looks once each interval."""
        self.is_alert = True
        """It has worked or was woken since it last came up empty."""
        self._sequence = 0

    def worked(self, sequence: int) -> None:
        """Note the number of the last task that was run."""
        if sequence != self._sequence:
            self._sequence, self.is_alert = sequence, True

    def pause(self) -> float:
        """Return how long to wait, with jitter: workers that begin together shall not look together."""
        if self.is_alert:
            self.is_alert = False
            return min(SECOND_LOOK, self.poll_interval)
        return self.poll_interval * self.sharers * random.uniform(0.8, 1.0)  # noqa: S311 - no secret

    def pieces(self, seconds: float) -> list[float]:
        """Return a wait in parts of at most the poll interval: whoever watches this loop shall see it move."""
        whole = int(seconds // self.poll_interval)
        return [self.poll_interval] * whole + [seconds - whole * self.poll_interval]


def pause_after(failures: int) -> float:
    """Return the seconds until the next try after so many failed ones, with jitter."""
    return min(LONGEST_PAUSE, 0.1 * 2.0 ** min(failures - 1, 10)) * random.uniform(0.8, 1.0)  # noqa: S311 - no secret


def rest_connections() -> None:
    """Close what Django would close between two requests, but for the way to the queue: whoever is woken needs it.

    That one is closed at its age, if it has one, or when it is broken.
    """
    queue = claims.alias()
    for connection in connections.all(initialized_only=True):
        if connection.connection is None:
            continue
        if connection.alias != queue or connection.settings_dict["CONN_MAX_AGE"]:
            connection.close_if_unusable_or_obsolete()
        elif connection.errors_occurred and not connection.is_usable():
            connection.close()
