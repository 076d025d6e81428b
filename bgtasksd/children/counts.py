"""Reference counts that stand still: using what was loaded before a fork then writes to none of its pages."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any


def stop_counting() -> None:
    """Make whatever is there immortal, as None is, and keep it from the collector: none of it is freed any more.

    A worker that is forked then has 3.5 MB of its own instead of 6. Immortal objects (PEP 683) are meant for that, and
    Python has no call for it: what None has in the place of its count is written there for all. Before 3.12 all count.
    """
    gc.collect()
    gc.unfreeze()
    objects = _reachable() if _can_be_immortal() else {}
    gc.freeze()
    immortal = _count_of(None).value
    for address in objects:
        count = ctypes.c_uint32.from_address(address)
        if count.value < immortal:  # else it is already, and its page may be shared with our parent
            count.value = immortal


def _reachable() -> dict[int, Any]:
    """Return by their addresses the objects that the collector knows, and what they refer to."""
    found = new = {id(each): each for each in gc.get_objects()}
    while new:
        referred = {id(each): each for each in gc.get_referents(*new.values())}
        new = {address: each for address, each in referred.items() if address not in found}
        found = found | new
    return found


def _can_be_immortal() -> bool:
    """Tell whether this Python lets a count stand still that has None's value; not if it is built to debug."""
    if sys.implementation.name != "cpython" or sys.version_info < (3, 12) or sys.abiflags:
        return False
    probe = object()
    _count_of(probe).value = immortal = _count_of(None).value
    held = [probe] * 10
    return _count_of(held[0]).value == immortal


def _count_of(each: object) -> ctypes.c_uint32:
    return ctypes.c_uint32.from_address(id(each))
