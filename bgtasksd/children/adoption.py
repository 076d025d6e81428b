"""A child for our parent: forked twice, so that the sub-reaper above us adopts it and alone can reap it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

from bgtasksd.children import channel
from bgtasksd.children.fork import Mask, fork
from bgtasksd.children.process import Process

PATIENCE = 10.0


def fork_away(body: Callable[[Mask], int]) -> Process:
    """Fork a process that is no child of ours and return it, held by its pidfd.

    The middle child opens the pidfd: as long as it lives nobody can have reaped the new process.
    Raises OSError when there is no process to be had.
    """
    ours, theirs = channel.pair()
    try:
        middle = fork(lambda mask: _be_the_middle(body, mask, ours, theirs))
        theirs.close()
        os.waitpid(middle, 0)
        return _adopted(ours)
    finally:
        ours.close()
        theirs.close()


def _be_the_middle(body: Callable[[Mask], int], mask: Mask, ours: channel.Channel, theirs: channel.Channel) -> int:
    ours.close()
    try:
        pid = fork(lambda _blocked: _be_the_grandchild(body, mask, theirs))
    except OSError as error:
        theirs.send("failed", errno=error.errno)
        return 0
    theirs.send("forked", [os.pidfd_open(pid)], pid=pid)
    return 0


def _be_the_grandchild(body: Callable[[Mask], int], mask: Mask, theirs: channel.Channel) -> int:
    theirs.close()
    return body(mask)


def _adopted(ours: channel.Channel) -> Process:
    try:
        received = ours.receive()
    except channel.ChannelClosed:
        received = None
    if received is None:
        raise OSError(0, "the middle child was killed")
    message, descriptors = received
    if message["kind"] == "failed":
        raise OSError(message["errno"], os.strerror(message["errno"]))
    return Process(message["pid"], descriptors[0])


def wait_for_adoption(parent: int) -> bool:
    """Wait, in the new process, until `parent` is its parent; False if that does not come to pass."""
    deadline = time.monotonic() + PATIENCE
    while os.getppid() != parent:
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.0005)  # where libfaketime is loaded time.sleep fails
    return True
