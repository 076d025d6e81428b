"""How long this host's contact to the database has been continuous: only then may it take another host's work. Pure."""

from __future__ import annotations


class Contact:
    """Continuous: a write at least every half lease, no error, and two clocks in step.

    After an outage every living host renews its leases before anybody's contact is a lease old again; the same holds
    after a suspend, a paused virtual machine, or a failover to a database whose clock is wrong.
    """

    def __init__(self, lease: float) -> None:
        self.lease = lease
        self.since: float | None = None
        self._last = 0.0
        self._offset = self._last_offset = 0.0

    def succeeded(self, now: float, database_clock: float) -> None:
        """Note a write that succeeded: monotonic seconds here, and seconds of the database's clock at that time."""
        offset = database_clock - now
        is_late = now - self._last > self.lease / 2
        has_stepped = abs(offset - self._offset) > self.lease / 4
        if self.since is None or is_late or has_stepped:
            self.since, self._offset = now, offset
        self._last, self._last_offset = now, offset

    def reckoned(self, now: float) -> float:
        """Return what the database's clock should show now: if it has been set since, nobody has noticed yet."""
        return now + self._last_offset

    def lost(self) -> None:
        """Note that the database could not be reached, or a connection broke."""
        self.since = None

    def is_continuous(self, now: float) -> bool:
        """Say whether the contact has lasted for a whole lease, up to now."""
        if self.since is None or now - self._last > self.lease / 2:
            return False
        return now - self.since >= self.lease
