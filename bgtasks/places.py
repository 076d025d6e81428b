"""Where daemons and workers of this host have their runtime directories, and in them the sockets to wake them by."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

SYSTEM_DIRECTORY = "/run/bgtasksd"
VARIABLE = "BGTASKSD_RUNTIME_DIR"
"""Names the only place; an option of the daemon, and heard by whoever enqueues."""


def usual(environ: Mapping[str, str]) -> list[Path]:
    """Return the places of a daemon that was told nothing, best first."""
    places = [Path(SYSTEM_DIRECTORY)]
    if environ.get("XDG_RUNTIME_DIR"):
        places.append(Path(environ["XDG_RUNTIME_DIR"], "bgtasksd"))
    home = environ.get("HOME")
    if home and home != "/" and Path(home).is_absolute():
        places.append(Path(home, ".bgtasksd"))
    return places


def of_systemd(environ: Mapping[str, str]) -> Path | None:
    """Return the directory that systemd has made for this very unit."""
    directories = environ.get("RUNTIME_DIRECTORY")
    return Path(directories.split(":")[0]) if directories else None


def to_look_in(environ: Mapping[str, str]) -> list[Path]:
    """Return where sockets of others may lie; those of named instances lie in subdirectories."""
    if environ.get(VARIABLE):
        return [Path(environ[VARIABLE]).absolute()]
    ours = of_systemd(environ)
    return [*([ours] if ours else []), *usual(environ)]


def for_a_socket(environ: Mapping[str, str]) -> Path | None:
    """Return a place, made if need be, where others look and only we and our group may write; None: there is none."""
    if environ.get(VARIABLE):
        return _made(Path(environ[VARIABLE]).absolute())
    system, *others = usual(environ)
    return (_fit(system) if system.is_dir() else None) or next(filter(None, map(_made, others)), None)


def _made(directory: Path) -> Path | None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return _fit(directory)


def _fit(directory: Path) -> Path | None:
    try:
        found = directory.stat()
    except OSError:
        return None
    is_ours = found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH
    return directory if is_ours and os.access(directory, os.W_OK | os.X_OK) else None
