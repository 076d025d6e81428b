"""`bgtasksd install-systemd`: write the units for this virtual environment and project, or print them."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from bgtasks.management.verbs import reading
from bgtasksd.cli.arguments import add_options
from bgtasksd.cli.manual import page
from bgtasksd.cli.places import DEFAULT_INSTANCE, candidates
from bgtasksd.cli.printing import complain, fail, say, say_json
from bgtasksd.cli.unit_files import (
    NOT_FOR_USERS,
    PARTS,
    UnitFile,
    obstacles,
    of_a_user,
    of_the_system,
    program,
    service_name,
)
from bgtasksd.cli.values import WrongValue, choose, from_environment
from bgtasksd.directory import UnfitDirectory
from bgtasksd.project import ProjectNotFound, find_project

EXAMPLES = """examples:
  bgtasksd install-systemd --print               show what would be written
  sudo venv/bin/bgtasksd install-systemd         the service bgtasksd, for the project found here
  sudo venv/bin/bgtasksd install-systemd --instance shop --with healthcheck --with memory
  bgtasksd install-systemd --user                a service of your own, for development

exit codes: 0 written, or there already; 1 nothing was written; 2 usage, no project"""
NOT_DONE, USAGE = 1, 2
WORDS = {"new": "written", "changed": "overwritten", "outdated": "renewed"}
"""What is said of files that are written, by the state in which they were found."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parts = ", ".join(f"{name} ({text})" for name, text in PARTS.items())
    parser.add_argument("--user", action="store_true", help="for your own manager, `systemctl --user`; no sandbox")
    parser.add_argument("--print", action="store_true", help="print the files, write nothing")
    parser.add_argument("--force", action="store_true", help="overwrite files that differ, without asking")
    parser.add_argument(
        "--with", action="append", dest="parts", choices=PARTS, metavar="PART", help=f"add {parts}; repeatable"
    )
    parser.add_argument(
        "--root",
        type=reading(_root),
        default=Path("/"),
        metavar="DIR",
        help="write below this directory, as for an image",
    )
    add_options(parser, "settings", "chdir")


def _root(text: str) -> Path:
    if not text:
        raise ValueError("it is empty: write a directory, or leave --root away")
    return Path(text).absolute()


def run(typed: argparse.Namespace) -> int:
    """Write what differs from what is there, and say what to run next."""
    try:
        instance, files = _files(typed)
    except (WrongValue, UnfitDirectory, ProjectNotFound) as error:
        return fail(USAGE, "usage", str(error), is_json=typed.json)
    except OSError as error:
        return fail(USAGE, "usage", f"--chdir {error.filename}: {error.strerror}", is_json=typed.json)
    if typed.print:
        return _print(files, is_json=typed.json)
    try:
        states = {file: _state(file) for file in files}
        changed = [file.path for file, state in states.items() if state == "changed"]
        if changed and not (typed.force or _may_overwrite(changed)):
            return _refuse(changed, is_json=typed.json)
        for file in [file for file, state in states.items() if state in WORDS]:
            _write(file)
    except OSError as error:
        return fail(NOT_DONE, "not_written", _reason(error), _as_root(typed), is_json=typed.json)
    _tell(states, _next(instance, typed), is_json=typed.json)
    return 0


def _files(typed: argparse.Namespace) -> tuple[str, list[UnitFile]]:
    given = {name: value for name, value in vars(typed).items() if value is not None}
    chosen = choose(given, from_environment(os.environ), {})
    here = as_typed(chosen.get("chdir") or ".")
    os.chdir(here)
    project = find_project(chosen.get("settings"), os.environ, here)
    instance = chosen.get("instance") or DEFAULT_INSTANCE
    candidates(None, instance, {})  # only to refuse an impossible name
    parts = frozenset(typed.parts or ())
    if not typed.user:
        for said in obstacles(Path(program()[0]), project.root / "manage.py"):
            complain(f"warning: {said}")
        files = of_the_system(project, instance, parts, typed.root / "etc")
        manual = typed.root / "usr/local/share/man/man8/bgtasksd.8"  # the units name it
        return instance, [*files, UnitFile(manual, page(*typed.build()), if_different="replace")]
    if unfit := parts & NOT_FOR_USERS:
        raise WrongValue(f"--with {min(unfit)} is not for a user's own manager: leave --user away")
    return instance, of_a_user(project, instance, parts, _configuration(typed.root))


def _configuration(root: Path) -> Path:
    """Return the directory of the user's configuration, below the root."""
    home = Path(os.environ.get("HOME", "~")).expanduser()
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return root / configuration.absolute().relative_to("/")


def as_typed(directory: str) -> Path:
    """Return a directory by the links that lead to it: tomorrow there may be another release behind them."""
    shell = Path(os.environ.get("PWD") or "/")
    above = shell if shell.is_absolute() and shell.is_dir() and shell.samefile(".") else Path.cwd()
    named = above / directory
    return named.resolve() if ".." in named.parts else named


def _print(files: list[UnitFile], *, is_json: bool) -> int:
    if is_json:
        say_json({"schema_version": 1, "files": [{"path": str(file.path), "text": file.text} for file in files]})
    else:
        say("\n".join(f"# {file.path}\n{file.text}" for file in files).rstrip())
    return 0


def _state(file: UnitFile) -> str:
    try:
        there = file.path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "new"
    if there == file.text:
        return "unchanged"
    return {"ask": "changed", "keep": "kept", "replace": "outdated"}[file.if_different]


def _may_overwrite(changed: list[Path]) -> bool:
    if not sys.stdin.isatty():
        return False
    complain("\n".join(f"{path} is there and differs" for path in changed))
    sys.stderr.write("Overwrite? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _refuse(changed: list[Path], *, is_json: bool) -> int:
    named = ", ".join(map(str, changed))
    message = f"there and different, nothing was written: {named}"
    return fail(NOT_DONE, "changed", message, "bgtasksd install-systemd --print, or --force", is_json=is_json)


def _write(file: UnitFile) -> None:
    """Put the whole file in its place at once: systemd may read it at any moment."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    new = file.path.with_name(f".{file.path.name}.{os.getpid()}")
    try:
        new.touch(mode=0o600)
        new.write_text(file.text, encoding="utf-8")
        new.chmod(file.mode)
        new.replace(file.path)
    finally:
        new.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}"


def _as_root(typed: argparse.Namespace) -> str:
    if typed.user:
        return "bgtasksd install-systemd --user --print"
    return shlex.join(["sudo", *program(), *sys.argv[1:]]) + "\n          or --user, for your own manager; or --print"


def _next(instance: str, typed: argparse.Namespace) -> list[str]:
    """Return the commands that have to follow."""
    name = service_name(instance).removesuffix(".service")
    if typed.user:
        return [
            "systemctl --user daemon-reload",
            f"systemctl --user enable --now {name}",
            "loginctl enable-linger    # so that it also runs while you are not logged in",
        ]
    timer = name.replace("bgtasksd", "bgtasksd-healthcheck") + ".timer"
    target = [] if instance == DEFAULT_INSTANCE else ["bgtasksd.target"]
    return [
        "systemd-sysusers && systemd-tmpfiles --create",
        f"systemctl edit {name}    # what tasks write, ReadWritePaths=: MEDIA_ROOT, the folder of an SQLite database",
        "systemctl daemon-reload",
        " ".join(["systemctl enable --now", name, *target, *([timer] if "healthcheck" in (typed.parts or ()) else [])]),
    ]


def _tell(states: dict[UnitFile, str], following: list[str], *, is_json: bool) -> None:
    if is_json:
        files = [{"path": str(file.path), "state": WORDS.get(state, state)} for file, state in states.items()]
        say_json({"schema_version": 1, "files": files, "next": following})
        return
    say("\n".join(f"{WORDS.get(state, state):<11} {file.path}" for file, state in states.items()))
    say("\nnext:\n" + "\n".join(f"  {command}" for command in following))
