"""What is said to wake somebody: one line of text, the same in a datagram and in a notification of the database. Pure.

`mark ready queue` (an empty queue: any of them) or `mark scheduled seconds`.
"""

from __future__ import annotations

from dataclasses import dataclass

READY, SCHEDULED = "ready", "scheduled"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something can be claimed, or will be."""

    mark: str
    """Never used twice: one notice may come by two ways."""
    kind: str
    queue: str = ""
    """READY: where; empty: who knows."""
    seconds: float = 0.0
    """SCHEDULED: until it is due."""

    def __str__(self) -> str:
        return f"{self.mark} {self.kind} {self.queue if self.kind == READY else f'{self.seconds:.4f}'}"


def parse(text: str) -> Notice | None:
    """Return what a line says; None for anything else that somebody may have sent."""
    mark, _, rest = text.partition(" ")
    kind, _, said = rest.partition(" ")
    if kind == READY:
        return Notice(mark, kind, queue=said)
    if kind != SCHEDULED:
        return None
    try:
        seconds = float(said)
    except ValueError:
        return None
    return Notice(mark, kind, seconds=seconds) if 0 <= seconds < 1e9 else None
