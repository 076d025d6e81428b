"""What a command prints on stdout. A reader that has gone away is no error; whatever else stops it is one."""

from __future__ import annotations

import os
import sys
from typing import Any


class CannotPrint(Exception):
    """stdout takes nothing more, as on a full disk; the message says why."""


def say(text: str, stream: Any = None) -> bool:
    """Print a line to stdout, or to the stream that stands for it. Return whether it is read. Raises CannotPrint."""
    stream = sys.stdout if stream is None else stream
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # else the flush at exit fails again
        if not isinstance(error, BrokenPipeError):
            raise CannotPrint(f"the answer cannot be written: {error.strerror}") from None
        return False
    return True
