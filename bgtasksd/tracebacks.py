"""Tracebacks of what a project raises while it is loaded: as its people want to read them. Django is not imported."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from pathlib import Path
from types import TracebackType


def their_traceback(error: BaseException) -> str:
    """Return the traceback from the project's own first frame down, without ours, Django's and the importer's."""
    place: TracebackType | None = error.__traceback__
    while place is not None and _is_machinery(place.tb_frame.f_code.co_filename):
        place = place.tb_next
    error.__suppress_context__ = error.__suppress_context__ or place is None
    return "".join(traceback.format_exception(type(error), error, place)).rstrip()


def _is_machinery(filename: str) -> bool:
    files = [getattr(sys.modules.get(name), "__file__", None) for name in ("bgtasksd", "bgtasks", "django")]
    homes = [str(Path(file).parent) + os.sep for file in files if file]
    return filename.startswith(("<frozen importlib", str(Path(platform.__file__).parent / "importlib"), *homes))
