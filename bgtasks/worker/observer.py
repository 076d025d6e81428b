"""What a worker tells of itself while it works. Every method does nothing: override what you need."""

from __future__ import annotations

from collections.abc import Sequence

from bgtasks.queue.types import Claim, Outcome


class Observer:
    """Called by the worker in its own thread; nothing here may raise or block."""

    descriptors: Sequence[int] = ()
    """What it needs itself: a task that closes one of them has damaged the process."""

    def exchanged(self) -> Sequence[int]:
        """Return the descriptors that were given another file, not by a task, since this was asked last."""
        return ()

    def turned(self, want: int) -> None:
        """The loop goes on: before each round trip to the database, also before those that fail.

        `want`: how many tasks it will claim; 0: there are some that were not started yet.
        """

    def claimed(self, claims: Sequence[Claim]) -> None:
        """The claims are committed; none of them has been started."""

    def more_ready(self) -> None:
        """A turn brought all it asked for: there may be more, for others."""

    def started(self, claim: Claim, sequence: int) -> None:
        """A task is about to run: nothing of it has been touched, not even its arguments."""

    def progressed(self, claim: Claim, text: str) -> None:
        """A running task tells how far it is (`bgtasks.progress`): perhaps in another thread, and perhaps often."""

    def finished(self, claim: Claim, outcome: Outcome) -> None:
        """The task's function is over; its outcome is not written yet."""

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """These outcomes are committed, or found to be nobody's business any more."""

    def restored(self, changed: Sequence[str]) -> None:
        """A task had changed these parts of the process, and they were put back ("signals", "umask", …)."""

    def idle(self) -> None:
        """There is nothing to do, or the database is away: the worker is going to wait."""
