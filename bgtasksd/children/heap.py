"""The C library's heap before a fork: its holes are filled, so that what children allocate lies close together."""

from __future__ import annotations

import contextlib
import ctypes

SIZES = (65536, 16384, 4096, 2048, 1024, 512, 256, 128, 64, 24)
"""Bytes of the pieces that holes are filled with, large ones first."""
MOST = 20_000
"""Pieces of one size."""


class _Info(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library; `keepcost` is what is free above everything else."""

    _fields_ = (("others", ctypes.c_size_t * 9), ("keepcost", ctypes.c_size_t))


def fill_holes() -> None:
    """Take every free piece between others, for good: about 0.5 MB once.

    A child that allocates there, or whose library sorts what is free, copies a page of 4 kB for each: up to 2 MB.
    """
    library = ctypes.CDLL(None)
    with contextlib.suppress(AttributeError):  # another C library, or an old one
        library.mallinfo2.restype = _Info
        library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
        for size in SIZES:
            _fill(library, size)


def _fill(library: ctypes.CDLL, size: int) -> None:
    """Take pieces of one size until there is none but above everything else."""
    for _ in range(MOST):
        above = library.mallinfo2().keepcost
        piece = library.malloc(size)
        if library.mallinfo2().keepcost != above:
            library.free(piece)
            return
