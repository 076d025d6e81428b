"""The runtime directory: what the files of an instance are called there, and whether a place is fit for them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SOCKET_NAME = "control.sock"
STATUS_NAME = "status.sock"
"""Questions alone, for the group."""
WAKE_NAME = "wake.sock"
"""`bgtasks.waking` looks for `wake*.sock`: workers without a daemon have theirs there, too."""
LONGEST_SOCKET_PATH = 107
"""Bytes; the kernel's limit for the address of a UNIX socket."""


class UnfitDirectory(Exception):
    """The runtime directory cannot be used; the message says why and what to do."""


def make(directory: Path) -> Path:
    """Make `directory` and its parents (0700) where they are missing, and return it. Raises UnfitDirectory."""
    length = len(os.fsencode(directory / SOCKET_NAME))
    if length > LONGEST_SOCKET_PATH:
        raise UnfitDirectory(
            f"{directory / SOCKET_NAME} has {length} bytes, and a socket's path may have {LONGEST_SOCKET_PATH}: "
            "name a shorter place with --runtime-dir DIR"
        )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        raise UnfitDirectory(f"{directory}: {error.strerror}. Name another place with --runtime-dir DIR") from error
    if found.st_uid != os.geteuid():
        raise UnfitDirectory(
            f"{directory} belongs to uid {found.st_uid}, not to us: name another with --runtime-dir DIR"
        )
    if found.st_mode & stat.S_IWOTH:
        raise UnfitDirectory(f"{directory} can be written by everybody: `chmod o-w {directory}`, or --runtime-dir DIR")
    return directory
