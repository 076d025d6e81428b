"""Where maintenance comes from: out of the zygote, whose memory it shares then, or bare, and it depends on nobody."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bgtasksd.children import channel
from bgtasksd.children.channel import Channel
from bgtasksd.children.process import Process

if TYPE_CHECKING:
    from bgtasksd.supervisor.link import Link

PATIENCE = 20.0
"""Seconds that a start waits for a zygote which is still loading the application."""
MOST_FAILURES = 1
"""With more of them in a row it is forked bare: then nothing of the application's can be the reason."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A fork that a zygote was asked for and has not told of."""

    number: int
    zygote: Link
    process: Process | None
    """The zygote's when it was asked: the next one knows nothing of it."""
    line: Channel
    """Our end. Whoever has the other one leaves when this is closed."""


class Source:
    """Decides where one link's process comes from, and keeps what was asked for."""

    def __init__(self, zygote: Callable[[], Link], board: Callable[[], int]) -> None:
        self.zygote = zygote
        """Returns the one that would fork it."""
        self.board = board
        """Returns the scoreboard's descriptor."""
        self.asked: Asked | None = None

    def starts_at(self, failures: int) -> float:
        """Return when to start: at once, unless a zygote is about to be ready. On the supervisor's clock."""
        zygote = self.zygote()
        if self._is_out_of(failures) or not zygote.is_starting:
            return 0.0
        return zygote.started_at + PATIENCE

    def ask(self, dump: int, failures: int) -> bool:
        """Ask the zygote for it; False when there is none that could do it well. Raises OSError."""
        zygote = self.zygote()
        if self._is_out_of(failures) or not zygote.is_ready:
            return False
        ours, theirs = channel.pair()
        self.asked = Asked(next(_numbers), zygote, zygote.process, ours)
        zygote.ask("fork_maintenance", [theirs.fileno(), self.board(), dump], number=self.asked.number)
        theirs.close()
        return True

    def _is_out_of(self, failures: int) -> bool:
        return not self.zygote().preloads or failures > MOST_FAILURES

    @property
    def is_lost(self) -> bool:
        """Tell whether whoever was asked is gone, and will not tell of it."""
        return self.asked is not None and self.asked.zygote.process is not self.asked.process

    def awaits(self, zygote: Link, number: int) -> bool:
        """Tell whether this zygote was asked for it under this number, and it is still wanted."""
        return self.asked is not None and self.asked.zygote is zygote and self.asked.number == number

    def forget(self) -> None:
        """Want it no longer; should it come into being, it leaves by itself."""
        if self.asked is not None:
            self.asked.line.close()
            self.asked = None

    def take_line(self) -> Channel:
        """Return our end of the line to the process that is there now."""
        assert self.asked is not None
        line, self.asked = self.asked.line, None
        return line

    def descriptors(self) -> list[int]:
        """Return what other children close."""
        return [] if self.asked is None else [self.asked.line.fileno()]
