"""Waiting for the end of a task: a socket for as long as somebody waits, or only time where it has no place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time

from bgtasks import places
from bgtasks.readable import readable
from bgtasks.waking.awaited import BEGINNING
from bgtasks.waking.receiving import ENDING, bound, clear_left_over

_cleared: set[int] = set()
"""The processes, forks are others, that have removed what was left over."""


class Ear:
    """Hears of the end of one task. A context: its socket is there before the first look at the row."""

    def __init__(self, task_id: int, *, is_wanted: bool = True) -> None:
        place = places.for_a_socket(os.environ) if is_wanted else None
        self.path = place and place / f"{BEGINNING}-{task_id}-{secrets.token_hex(6)}{ENDING}"
        self.socket = None

    def __enter__(self) -> Ear:
        if self.path is not None:
            if os.getpid() not in _cleared:
                clear_left_over(self.path.parent, BEGINNING)
                _cleared.add(os.getpid())
            with contextlib.suppress(OSError):
                self.socket = bound(self.path)
        return self

    def __exit__(self, *error: object) -> None:
        if self.socket is not None and self.path is not None:
            self.socket.close()
            with contextlib.suppress(OSError):
                self.path.unlink()

    @property
    def hears(self) -> bool:
        """Whether whoever settles on this host finds us."""
        return self.socket is not None

    def sleep(self, seconds: float) -> None:
        """Sleep so long, or until somebody tells."""
        if self.socket is None:
            time.sleep(seconds)
        elif readable([self.socket.fileno()], seconds):
            self._read()

    async def asleep(self, seconds: float) -> None:
        """Do the same in a coroutine."""
        if self.socket is None:
            await asyncio.sleep(seconds)
            return
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.socket, told.set)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), seconds)
                self._read()
        finally:
            loop.remove_reader(self.socket)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            assert self.socket is not None
            self.socket.recv(64)
