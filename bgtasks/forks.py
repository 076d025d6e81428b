"""What tasks fork gets the signals that programs expect, and not those of a worker."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_handlers: Mapping[Any, Any] | None = None
"""The worker's, by signal; None: this process is none."""
_masks = threading.local()


@contextmanager
def shielding_children(handlers: Mapping[Any, Any]) -> Iterator[None]:
    """Keep these handlers of a worker from what is forked while this lasts."""
    global _handlers
    before, _handlers = _handlers, handlers
    try:
        yield
    finally:
        _handlers = before


def _before_fork() -> None:
    """Hold signals back: a child must get its first one when it is ordinary, or it is lost."""
    if _handlers is not None:
        _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _handlers)


def _after_fork() -> None:
    if _handlers is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _be_ordinary() -> None:
    """Undo in a child what makes this process a worker: SIGTERM must end it, and it must ring nobody's bell."""
    global _handlers
    if _handlers is None:
        return
    signal.set_wakeup_fd(-1)
    for number, handler in _handlers.items():
        if callable(handler):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _after_fork()
    _handlers = None


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_be_ordinary)
