"""The runtime directory: where lock, pid file and sockets of an instance lie, and whether the place is fit for them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

SYSTEM_DIRECTORY = "/run/bgtasksd"
SOCKET_NAME = "control.sock"
WAKE_NAME = "wake.sock"
"""`bgtasks.waking` looks for `wake*.sock`: workers without a daemon have theirs there, too."""
DEFAULT_INSTANCE = "default"
LONGEST_SOCKET_PATH = 107
"""Bytes; the kernel's limit for the address of a UNIX socket."""
_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,63}")


class UnfitDirectory(Exception):
    """The runtime directory cannot be used; the message says why and what to do."""


def candidates(runtime_dir: str | None, instance: str, environ: Mapping[str, str]) -> list[Path]:
    """Return where the instance's files may lie, best first. Raises UnfitDirectory for an impossible name."""
    if not _INSTANCE.fullmatch(instance) or instance.endswith((".sock", ".lock", ".pid", ".log")):
        raise UnfitDirectory(
            f"{instance!r} cannot be the name of an instance: use letters, digits, and _ . @ : - inside"
        )
    if runtime_dir:
        return [_of_instance(Path(runtime_dir).absolute(), instance)]
    if environ.get("RUNTIME_DIRECTORY"):
        # systemd's, made for this very unit: the template has the instance in it
        return [Path(environ["RUNTIME_DIRECTORY"].split(":")[0])]
    places = [Path(SYSTEM_DIRECTORY)]
    if environ.get("XDG_RUNTIME_DIR"):
        places.append(Path(environ["XDG_RUNTIME_DIR"], "bgtasksd"))
    home = environ.get("HOME")
    if home and home != "/" and Path(home).is_absolute():
        places.append(Path(home, ".bgtasksd"))
    return [_of_instance(place, instance) for place in places]


def _of_instance(directory: Path, instance: str) -> Path:
    return directory if instance == DEFAULT_INSTANCE else directory / instance


def prepare(runtime_dir: str | None, instance: str, environ: Mapping[str, str]) -> Path:
    """Return the directory for a daemon to start in, made if need be. Raises UnfitDirectory when there is none."""
    places = candidates(runtime_dir, instance, environ)
    if places[0].is_relative_to(SYSTEM_DIRECTORY) and len(places) > 1 and not _is_ours(Path(SYSTEM_DIRECTORY)):
        places.pop(0)
    refused = []
    for place in places:
        try:
            return make(place)
        except UnfitDirectory as error:
            refused.append(str(error))
    raise UnfitDirectory("\n".join(refused) or "no place for the runtime directory: name one with --runtime-dir DIR")


def _is_ours(directory: Path) -> bool:
    try:
        return directory.stat().st_uid == os.geteuid()
    except OSError:
        return False


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
