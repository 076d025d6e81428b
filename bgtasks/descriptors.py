"""The descriptors that tasks must leave alone: whether each is still the file that it was."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable


class Descriptors:
    """What these descriptors are while this is made."""

    def __init__(self, watched: Iterable[int]) -> None:
        files = _files_at(watched)
        self._witness = select.epoll() if hasattr(select, "epoll") else None
        self._witnessed = {number: file for number, file in files.items() if self._can_be_witnessed(number)}
        self._others = {number: file for number, file in files.items() if number not in self._witnessed}

    def accept(self, exchanged: Iterable[int]) -> None:
        """Take these for what they are now: others than a task have put another file there."""
        for number, file in _files_at(exchanged).items():
            self._witnessed.pop(number, None)
            self._others[number] = file

    def are_unchanged(self) -> bool:
        """Say whether none was closed or replaced by another file."""
        return _files_at(self._others) == self._others and (
            self._are_witnessed() or _files_at(self._witnessed) == self._witnessed
        )

    def _can_be_witnessed(self, descriptor: int) -> bool:
        """Let the kernel remember a descriptor's file, which it does for all but plain files and some devices."""
        try:
            if self._witness is not None:
                self._witness.register(descriptor, 0)
                return True
        except OSError:
            pass
        return False

    def _are_witnessed(self) -> bool:
        """Ask the kernel whether each descriptor is the open file of its registration: 0.4 µs against 1.8 for a look.

        It knows none if a task has closed the witness itself, and one that was opened anew may be the same file still.
        """
        try:
            for descriptor in self._witnessed:
                self._witness.modify(descriptor, 0)  # type: ignore[union-attr]
        except (OSError, ValueError):
            return False
        return True


def _files_at(descriptors: Iterable[int]) -> dict[int, tuple[int, int] | None]:
    """Return the file that each of them is; None: it is closed. All in one go, for it is done behind every task."""
    files: dict[int, tuple[int, int] | None] = {}
    for descriptor in descriptors:
        try:
            status = os.fstat(descriptor)
        except OSError:
            files[descriptor] = None
        else:
            files[descriptor] = status.st_dev, status.st_ino
    return files
