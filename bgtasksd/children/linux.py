"""What only Linux offers: the sub-reaper, the parent's death signal, the kernel's choice under memory pressure."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGNAL_STACK = 256 * 1024
"""Bytes: room for every signal there is to interrupt another one, also where vector registers make each frame 4 kB."""
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def has_process_handles() -> bool:
    """Tell whether this system has what nothing here can do without: a handle that stands for one process for ever."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def become_subreaper() -> None:
    """Adopt the orphans among our descendants, the workers above all: they are forked twice."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: signal.Signals | None) -> None:
    """Ask for a signal when the parent's thread ends; None: no longer."""
    _prctl(_PR_SET_PDEATHSIG, 0 if number is None else int(number))


class _SignalStack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def widen_signal_stack() -> None:
    """Give signal handlers a larger stack than faulthandler's, here and in all that is forked from here.

    All of Python's handlers run on that stack of some 10 kB once faulthandler is enabled, and signals that come
    together nest: four of them can write beyond its end. Call this after `faulthandler.enable`.
    """
    room = mmap.mmap(-1, _SIGNAL_STACK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(room))
    if _libc.sigaltstack(ctypes.byref(_SignalStack(start, 0, _SIGNAL_STACK)), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _rooms.append(room)


_rooms: list[mmap.mmap] = []
"""Kept for ever: the kernel writes there."""


def offer_to_oom_killer(score: int = 500) -> None:
    """Let the kernel, when it runs out of memory, choose this process rather than the supervisor."""
    with contextlib.suppress(OSError):
        file = os.open("/proc/self/oom_score_adj", os.O_WRONLY)  # each worker does this: Path's way copies 0.2 MB
        try:
            os.write(file, str(score).encode())
        finally:
            os.close(file)
