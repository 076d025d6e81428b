"""Waiting until one of some descriptors can be read, whatever its number: `select` itself takes none above 1023."""

from __future__ import annotations

import errno
import math
import os
import select
from collections.abc import Sequence

LONGEST_MS = 2**31 - 1


def readable(descriptors: Sequence[int], seconds: float) -> list[int]:
    """Return those that can be read, or whose other end is gone, at the latest after so long. Raises OSError."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    # rounded up: whoever waits for the rest of a millisecond would not wait at all, and ask again and again
    found = poll.poll(min(max(0, math.ceil(seconds * 1000)), LONGEST_MS))
    if any(event & select.POLLNVAL for _, event in found):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return [descriptor for descriptor, _ in found]
