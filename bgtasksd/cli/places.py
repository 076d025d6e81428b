"""Where the files of an instance lie, and which of the places a new daemon takes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from bgtasks import places as rule
from bgtasksd.directory import UnfitDirectory, make

DEFAULT_INSTANCE = "default"
_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,63}")


def candidates(runtime_dir: str | None, instance: str, environ: Mapping[str, str]) -> list[Path]:
    """Return where the instance's files may lie, best first. Raises UnfitDirectory for an impossible name."""
    if not _INSTANCE.fullmatch(instance) or instance.endswith((".sock", ".lock", ".pid", ".log")):
        raise UnfitDirectory(
            f"{instance!r} cannot be the name of an instance: use letters, digits, and _ . @ : - inside"
        )
    if runtime_dir:
        return [_of_instance(Path(runtime_dir).absolute(), instance)]
    of_systemd = rule.of_systemd(environ)
    if of_systemd is not None:
        return [of_systemd]  # made for this very unit: the template has the instance in it
    return [_of_instance(place, instance) for place in rule.usual(environ)]


def _of_instance(directory: Path, instance: str) -> Path:
    return directory if instance == DEFAULT_INSTANCE else directory / instance


def prepare(runtime_dir: str | None, instance: str, environ: Mapping[str, str]) -> Path:
    """Return the directory for a daemon to start in, made if need be. Raises UnfitDirectory when there is none."""
    refused = []
    for place in for_a_start(candidates(runtime_dir, instance, environ)):
        try:
            return make(place)
        except UnfitDirectory as error:
            refused.append(str(error))
    raise UnfitDirectory("\n".join(refused) or "no place for the runtime directory: name one with --runtime-dir DIR")


def for_a_start(places: list[Path]) -> list[Path]:
    """Return those of the candidates that a daemon of ours tries: the system's only if it was made for us."""
    system = Path(rule.SYSTEM_DIRECTORY)
    is_for_others = places[0].is_relative_to(system) and len(places) > 1 and not _is_ours(system)
    return places[1:] if is_for_others else places


def _is_ours(directory: Path) -> bool:
    try:
        return directory.stat().st_uid == os.geteuid()
    except OSError:
        return False
