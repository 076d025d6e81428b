"""Changes that take a while: each has a number, says how it goes, and is over once. Whoever asked may follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LONGEST_REASON = 4000
"""Characters that are told of why a change has failed."""
STOPPING = "the daemon is stopping"
"""Why no change begins, and none goes on."""

Tell = Callable[..., object]
"""`control.tell(number, ok=…, data=…, error=…)`: sends one line to the clients that follow a change."""


class Change:
    """One change, from the order to its end."""

    def __init__(self, number: int, name: str, tell: Tell) -> None:
        self.number = number
        self.name = name
        self.is_over = False
        self._tell = tell

    def accepted(self, **facts: Any) -> dict[str, Any]:
        """Return the answer to the order; the control server lets the client follow if it asked to wait."""
        return {"accepted": self.name, "change": self.number, **facts}

    def say(self, text: str, **facts: Any) -> None:
        """Tell how it goes."""
        self._tell(self.number, ok=True, data={"is_over": False, "text": text, **facts})

    def done(self, **facts: Any) -> None:
        """Tell that it is over and what came of it."""
        self._end(ok=True, data={"is_over": True, **facts})

    def failed(self, why: str) -> None:
        """Tell that it is over and nothing came of it."""
        self._end(ok=False, error=why)

    def _end(self, **line: Any) -> None:
        if not self.is_over:
            self.is_over = True
            self._tell(self.number, **line)


class Changes:
    """Numbers the changes of one daemon."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.last = 0
        """The last number given."""

    def begin(self, name: str) -> Change:
        """Return a change that has just been ordered."""
        self.last += 1
        return Change(self.last, name, self._tell)

    def resume(self, number: int, name: str) -> Change:
        """Return a change that the program before this one has begun."""
        return Change(number, name, self._tell)
