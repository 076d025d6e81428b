"""Why something has failed, for people: the first line names the error, and is kept whatever else is left away."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from pathlib import Path
from types import TracebackType


def first_line(error: BaseException) -> str:
    """Return what the error says, without the lines of advice and details that drivers add."""
    return str(error).strip().partition("\n")[0]


def gist(error: BaseException) -> str:
    """Return the error in one line, with its kind."""
    said = first_line(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def shortened(reason: str, longest: int) -> str:
    """Return at most so many characters: the first line, and whole lines from the end, where a traceback says most."""
    if len(reason) <= longest:
        return reason
    first = reason.partition("\n")[0][: longest // 2]
    last = reason[len(first) + 3 - longest :]
    return f"{first}\n…\n{last.partition(chr(10))[2] or last}"


def in_full(error: BaseException) -> str:
    """Return the gist and their traceback; where nothing of theirs is on the way, the error alone."""
    told = their_traceback(error)
    return f"{gist(error)}\n{told}" if '  File "' in told else told


def their_traceback(error: BaseException) -> str:
    """Return a traceback from the project's own first frame down, without ours, Django's and the importer's."""
    place: TracebackType | None = error.__traceback__
    while place is not None and _is_machinery(place.tb_frame.f_code.co_filename):
        place = place.tb_next
    error.__suppress_context__ = error.__suppress_context__ or place is None
    return "".join(traceback.format_exception(type(error), error, place)).rstrip()


def _is_machinery(filename: str) -> bool:
    files = [getattr(sys.modules.get(name), "__file__", None) for name in ("bgtasksd", "bgtasks", "django")]
    homes = [str(Path(file).parent) + os.sep for file in files if file]
    return filename.startswith(("<frozen importlib", str(Path(platform.__file__).parent / "importlib"), *homes))
