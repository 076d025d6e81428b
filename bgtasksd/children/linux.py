"""What only Linux offers: the sub-reaper, the parent's death signal, the kernel's choice under memory pressure."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def become_subreaper() -> None:
    """Adopt the orphans among our descendants, the workers above all: they are forked twice."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: signal.Signals | None) -> None:
    """Ask for a signal when the parent's thread ends; None: no longer."""
    _prctl(_PR_SET_PDEATHSIG, 0 if number is None else int(number))


def offer_to_oom_killer(score: int = 500) -> None:
    """Let the kernel, when it runs out of memory, choose this process rather than the supervisor."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(score))
