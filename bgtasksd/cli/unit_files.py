"""The files of systemd for one virtual environment and project: the shipped ones with its paths. It writes nothing."""

from __future__ import annotations

import re
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from bgtasksd.cli.places import DEFAULT_INSTANCE
from bgtasksd.project import VARIABLE, Project

_PACKAGE = Path(__file__).parent.parent
SHIPPED = next(
    (place for place in (_PACKAGE.parent / "systemd", _PACKAGE / "units") if (place / "bgtasksd.service").exists()),
    _PACKAGE / "units",
)
"""In a source tree they lie beside the package, in a wheel within it."""
PARTS = {
    "healthcheck": "a timer that runs `bgtasksd check` each minute",
    "hardened": "a tighter sandbox, which some tasks notice",
    "notify-reload": "reload by systemd itself; systemd 253 or newer",
    "memory": "bounds for the memory of the whole service",
    "delegate": "control groups below the service are its own",
}
"""What may be added to the service."""
NOT_FOR_USERS = frozenset({"healthcheck", "hardened"})
DROP_INS = {
    "hardened": "10-hardened",
    "notify-reload": "20-notify-reload",
    "memory": "30-memory",
    "delegate": "40-delegate",
}
_KINDS = (".service", ".timer")
_MAKERS = ("sysusers", "tmpfiles")
_PROGRAM = re.compile(r"^(Exec\w+=)\S+/bgtasksd ", re.MULTILINE)
_NOTE = re.compile(r"^# `bgtasksd install-systemd.*\n|^#\n(?=# `bgtasksd install-systemd)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file to be written."""

    path: Path
    text: str
    mode: int = 0o644
    if_different: str = "ask"
    """What happens to one that is there: ask · keep (environment files are people's) · replace (only we make it)."""


def service_name(instance: str) -> str:
    """Return the name of the daemon's service; a project of several has its own file, as its environment is its own."""
    return "bgtasksd.service" if instance == DEFAULT_INSTANCE else f"bgtasksd@{instance}.service"


def of_the_system(project: Project, instance: str, parts: frozenset[str], etc: Path) -> list[UnitFile]:
    """Return the files of a system service, below `etc`."""
    units, is_one = etc / "systemd" / "system", instance == DEFAULT_INSTANCE
    at = "" if is_one else "@"
    environment = etc / "default" / "bgtasksd" if is_one else etc / "bgtasksd" / f"{instance}.env"
    name = service_name(instance)
    files = [UnitFile(units / name, adapted(_shipped(f"bgtasksd{at}.service"), project))]
    if not is_one:
        files.append(UnitFile(units / "bgtasksd.target", _shipped("bgtasksd.target")))
    if "healthcheck" in parts:
        service, timer = (name.replace("bgtasksd", "bgtasksd-healthcheck").replace(".service", end) for end in _KINDS)
        files.append(UnitFile(units / service, adapted(_shipped(f"bgtasksd-healthcheck{at}.service"), project)))
        files.append(UnitFile(units / timer, _shipped(f"bgtasksd-healthcheck{at}.timer")))
    files += _drop_ins(units, name, parts)
    files += [UnitFile(etc / f"{kind}.d" / "bgtasksd.conf", _shipped(f"{kind}.d/bgtasksd.conf")) for kind in _MAKERS]
    return [*files, UnitFile(environment, _shipped("default/bgtasksd"), 0o640, if_different="keep")]


def obstacles(*paths: Path) -> list[str]:
    """Return what keeps the service, which has an account and a temporary directory of its own, from these paths."""
    found = {}
    for path in paths:
        if path.is_relative_to("/tmp") or path.is_relative_to("/var/tmp"):  # noqa: S108 - nothing is made there
            found["tmp"] = (
                f"{path} lies in a temporary directory, and the service has its own: PrivateTmp=no in a drop-in"
            )
        for directory in path.parents:
            if directory.is_dir() and not directory.stat().st_mode & stat.S_IXOTH:
                said = "may be entered by its owner alone: User= in a drop-in, or chmod o+x"
                found[str(directory)] = f"{directory} {said}"
    return list(found.values())


def of_a_user(project: Project, instance: str, parts: frozenset[str], configuration: Path) -> list[UnitFile]:
    """Return the files of a service of the user's own manager, below the user's `configuration`."""
    units, name = configuration / "systemd" / "user", service_name(instance)
    shipped = _shipped("user/bgtasksd.service" if instance == DEFAULT_INSTANCE else "user/bgtasksd@.service")
    return [UnitFile(units / name, adapted(shipped, project)), *_drop_ins(units, name, parts)]


def _drop_ins(units: Path, name: str, parts: frozenset[str]) -> list[UnitFile]:
    wanted = [file for part, file in DROP_INS.items() if part in parts]
    return [UnitFile(units / f"{name}.d" / f"{file}.conf", _shipped(f"drop-ins/{file}.conf")) for file in wanted]


def _shipped(name: str) -> str:
    return (SHIPPED / name).read_text(encoding="utf-8")


def adapted(text: str, project: Project) -> str:
    """Return a shipped unit with the program of this virtual environment and the place and settings of the project."""
    given = (
        f"WorkingDirectory={str(project.root).replace('%', '%%')}\n"
        f"Environment={quoted(f'{VARIABLE}={project.settings}')}\n"
    )
    text = _NOTE.sub("", text)
    text = _PROGRAM.sub(lambda found: f"{found[1]}{' '.join(map(quoted, program()))} ", text)
    return re.sub(r"^EnvironmentFile=", lambda found: given + found[0], text, count=1, flags=re.MULTILINE)


def program() -> list[str]:
    """Return how `bgtasksd` of this virtual environment is called, whatever the path of whoever calls it is."""
    beside = Path(sys.executable).with_name("bgtasksd")
    found = str(beside) if beside.is_file() else shutil.which("bgtasksd")
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "bgtasksd"]


def quoted(word: str) -> str:
    """Return a word as systemd reads it in a command or an assignment, specifiers and quotes included."""
    word = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word}"' if re.search(r"[\s'\"\\;]", word) else word
