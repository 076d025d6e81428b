"""Where a log may be written: looked at before anything is started."""

from __future__ import annotations

import os
from pathlib import Path


def why_no_log(log_file: str) -> str | None:
    """Return why a log cannot be written to this path, or None. Makes nothing: opening it has the last word."""
    path = Path(log_file)
    try:
        if path.is_dir():
            return "it is a directory"
        if path.exists():
            return None if os.access(path, os.W_OK) else "the file is not writable"
        if not path.parent.is_dir():
            return f"there is no directory {path.parent}"
    except OSError as error:  # a folder on the way that we may not look into
        return error.strerror
    return None if os.access(path.parent, os.W_OK | os.X_OK) else f"{path.parent} is not writable"
