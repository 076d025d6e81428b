"""By which ways a stand-alone worker hears of new work: a socket of its own, and the notifications of the database."""

from __future__ import annotations

from bgtasks import conf
from bgtasks.queue import claims
from bgtasks.waking import Notice, OwnSocket


class Ears:
    """Both of them, as far as the settings and the machine allow; with neither polling has to do."""

    def __init__(self) -> None:
        self.socket = OwnSocket() if conf.current().wake else None
        self.listener = claims.listener()

    def open_if_due(self, *, is_database_up: bool) -> bool:
        """Connect to hear the database, if that is to be tried now; true if it was not heard until now."""
        return self.listener is not None and is_database_up and self.listener.open_if_due()

    def seconds_until_next(self) -> float:
        """Return how long there is nothing to try."""
        return float("inf") if self.listener is None else max(0.05, self.listener.seconds_until_next())

    def descriptors(self) -> list[int]:
        """Return what becomes readable when somebody tells something."""
        found = [each.fileno() for each in (self.socket, self.listener) if each is not None]
        return [each for each in found if each is not None]

    def heard(self) -> list[Notice]:
        """Return what has been told."""
        return [notice for each in (self.socket, self.listener) if each is not None for notice in each.heard()]

    def close(self) -> None:
        """Give both back."""
        for each in (self.socket, self.listener):
            if each is not None:
                each.close()
