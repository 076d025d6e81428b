"""What is said to wake somebody: one line of text, the same in a datagram and in a notification of the database. Pure.

`mark ready queue` (an empty queue: any of them) or `mark scheduled seconds`. Between hosts alone: somebody waits for
ends, `mark awaited seconds`, and the ids of what has ended, `mark over 17,18`.
"""

from __future__ import annotations

from dataclasses import dataclass

READY, SCHEDULED, AWAITED, OVER = "ready", "scheduled", "awaited", "over"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something can be claimed, or will be."""

    mark: str
    """Never used twice: one notice may come by two ways."""
    kind: str
    queue: str = ""
    """READY: where; empty: who knows."""
    seconds: float = 0.0
    """SCHEDULED: until it is due. AWAITED: for how long."""
    ids: tuple[int, ...] = ()
    """OVER: of tasks."""

    def __str__(self) -> str:
        said = {READY: self.queue, OVER: ",".join(map(str, self.ids))}.get(self.kind, f"{self.seconds:.4f}")
        return f"{self.mark} {self.kind} {said}"


def parse(text: str) -> Notice | None:
    """Return what a line says; None for anything else that somebody may have sent."""
    mark, _, rest = text.partition(" ")
    kind, _, said = rest.partition(" ")
    if kind == READY:
        return Notice(mark, kind, queue=said)
    try:
        if kind == OVER:
            return Notice(mark, kind, ids=tuple(map(int, said.split(","))))
        seconds = float(said)
    except ValueError:
        return None
    return Notice(mark, kind, seconds=seconds) if kind in (SCHEDULED, AWAITED) and 0 <= seconds < 1e9 else None
