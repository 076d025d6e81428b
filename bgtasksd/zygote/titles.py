"""What `ps` shows of a process, where the extra `title` is installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache


def title(text: str) -> None:
    """Show in `ps` what this process is."""
    write = writer()
    if write is not None:
        write(text)


@cache
def writer() -> Callable[[str], None] | None:
    """Return what writes titles. To look for it in vain costs a process 0.4 MB: ask before a fork."""
    os.environ["SPT_NOENV"] = "1"  # or /proc/<pid>/environ is wiped
    try:
        import setproctitle  # the extra is optional
    except ImportError:
        return None
    found: Callable[[str], None] = setproctitle.setproctitle
    return found
