"""Forking zygote and maintenance: the line between us, and the child, which imports what it serves with only then."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

from bgtasksd.children import channel
from bgtasksd.children.channel import Channel
from bgtasksd.children.fork import Mask, fork
from bgtasksd.children.process import Process


def fork_serving(entry: str, closing: Sequence[int], arguments: dict[str, Any]) -> tuple[Process, Channel]:
    """Return a new process and our end of its line. Raises OSError; a process without us ends by itself.

    `entry`: `module:function`, called there with its end of the line. It closes the descriptors in `closing`.
    """
    ours, theirs = channel.pair()
    try:
        return Process(fork(partial(_serve, entry, theirs, [*closing, ours.fileno()], arguments))), ours
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()


def _serve(entry: str, theirs: Channel, closing: list[int], arguments: dict[str, Any], mask: Mask) -> int:
    """Be the child: let go of what is the supervisor's, then call the entry."""
    channel.close_all(closing)
    module, _, function = entry.partition(":")
    code: int = getattr(import_module(module), function)(theirs, mask=mask, **arguments)
    return code
