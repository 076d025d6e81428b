"""Who on this host waits for the end of a task: each wait is a socket named after it, and all are told by its settling.

Whoever settles has to know it for next to nothing: the directories' times of change tell whether to look again.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bgtasks.waking.sending import ENDING, sender

BEGINNING = "over"
"""Of the name of a socket that waits: `over-<task id>-<random>.sock`."""
_NAME = re.compile(rf"{BEGINNING}-([0-9]{{1,18}})-[0-9a-f]+{re.escape(ENDING)}")
ELSEWHERE = "elsewhere"
_UNTIL = re.compile(rf"{ELSEWHERE}-([0-9]{{1,12}})")
LONGEST = 60.0
"""Seconds for which other hosts may ask at once."""
COARSE = 0.05
"""Seconds: a file that is made so soon after a look may leave the directory's time as it was."""


@dataclass(slots=True)
class Seen:
    """A directory as it was at the last look."""

    changed: int = -1
    """Nanoseconds; -1: there is none, or nobody has looked."""
    looked: int = 0
    sockets: dict[int, list[str]] = field(default_factory=dict)
    """By the id of the task that they wait for."""
    elsewhere_until: float = 0.0
    """Until when somebody on another host waits, monotonic."""


_seen: dict[str, Seen] = {}


def tell(ids: Iterable[int]) -> bool:
    """Wake whoever waits here for one of these tasks, whose ends are committed; say whether other hosts wait, too."""
    is_awaited_elsewhere = False
    for place in sender.places():
        seen = _look_at(place)
        if seen.sockets:
            for task_id in ids:
                for address in seen.sockets.get(task_id, ()):
                    sender.send_to(address, str(task_id))
        if seen.elsewhere_until:  # a file of before the last boot may name any time
            is_awaited_elsewhere |= 0 < seen.elsewhere_until - time.monotonic() <= LONGEST
    return is_awaited_elsewhere


def note_elsewhere(place: str, seconds: float) -> None:
    """Leave word in that directory that another host waits for ends, for so long: a file that has it in its name."""
    until = f"{ELSEWHERE}-{time.monotonic() + min(seconds, LONGEST - 1):.0f}"
    with contextlib.suppress(OSError):
        before = [name for name in os.listdir(place) if name.startswith(ELSEWHERE)]  # noqa: PTH208
        Path(place, until).touch()
        for name in before:
            if name != until:
                Path(place, name).unlink(missing_ok=True)


def _look_at(place: str) -> Seen:
    seen = _seen.setdefault(place, Seen())
    try:
        changed = os.stat(place).st_mtime_ns  # noqa: PTH116 - a third of the time that Path takes
    except OSError:
        changed = -1
    if changed != seen.changed or seen.looked - changed < COARSE * 1e9:
        seen.changed, seen.looked = changed, time.time_ns()
        seen.sockets, seen.elsewhere_until = ({}, 0.0) if changed == -1 else _listed(place)
    return seen


def _listed(place: str) -> tuple[dict[int, list[str]], float]:
    found: dict[int, list[str]] = {}
    until = 0.0
    try:
        names = os.listdir(place)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        names = []
    for name in names:
        if awaits := _NAME.fullmatch(name):
            found.setdefault(int(awaits[1]), []).append(f"{place}/{name}")
        elif elsewhere := _UNTIL.fullmatch(name):
            until = max(until, float(elsewhere[1]))
    return found, until
