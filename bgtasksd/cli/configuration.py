"""From what was typed to the Options of a daemon: find the project, read its settings in a child, check the whole."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bgtasksd
from bgtasks import __version__
from bgtasks.option_bounds import of_workers, possible_queues
from bgtasks.output import why_no_log
from bgtasks.queue_filters import bindings_of
from bgtasksd.cli.contradictions import contradictions
from bgtasksd.cli.places import DEFAULT_INSTANCE, prepare
from bgtasksd.cli.values import WrongValue, choose, from_environment, source_of
from bgtasksd.directory import UnfitDirectory
from bgtasksd.exit_codes import EXIT_CONFIGURATION, EXIT_USAGE
from bgtasksd.option_table import KEYS_ALONE, TABLE
from bgtasksd.options import Binding, Options, default_workers
from bgtasksd.project import VARIABLE, Project, ProjectNotFound, find_project


class Unusable(Exception):
    """The daemon cannot start like this; the message says why, `exit_code` how to end."""

    def __init__(self, message: str, exit_code: int = EXIT_CONFIGURATION) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Origin:
    """How a daemon was started, to read its options again."""

    typed: argparse.Namespace
    environ: Mapping[str, str]
    directory: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """The options in force, where each comes from, and what the banner says about the project."""

    options: Options
    sources: Mapping[str, str]
    django: str
    database: str
    database_identity: str
    """What tells the database of the tasks from any other."""
    origin: Origin


def configure(typed: argparse.Namespace, environ: MutableMapping[str, str]) -> Configuration:
    """Return how to start. Raises Unusable. Goes to `--chdir`, and names the settings in the environment."""
    origin = Origin(typed, dict(environ), os.getcwd())  # noqa: PTH109 - a string is wanted
    given = {name: value for name, value in vars(typed).items() if value is not None}
    try:
        environment = from_environment(environ)
        early = choose(given, environment, {})
        _go_to(early.get("chdir"))
        project = find_project(early.get("settings"), environ, Path.cwd())
        answer = read_settings(project)
        directory = prepare(early.get("runtime_dir"), early.get("instance", DEFAULT_INSTANCE), environ)
    except ProjectNotFound as error:
        raise Unusable(str(error), EXIT_USAGE) from error
    except (WrongValue, UnfitDirectory) as error:
        raise Unusable(str(error)) from error
    _agree(project, answer["time_zone"], environ)
    chosen = choose(given, environment, answer["settings"])
    sources = {option.name: source_of(option, given, environment, answer["settings"]) for option in TABLE}
    _bind(chosen, sources)
    options = _checked(_options(chosen, project, str(directory)), sources)
    return Configuration(options, sources, answer["django"], answer["database"], answer["database_identity"], origin)


def _go_to(directory: str | None) -> None:
    try:
        os.chdir(directory or ".")
    except OSError as error:
        raise Unusable(f"--chdir {directory}: {error.strerror}") from error


def _agree(project: Project, time_zone: str | None, environ: MutableMapping[str, str]) -> None:
    """Name the settings to the children, and use their time zone, so that all lines of the log tell one time."""
    environ[VARIABLE] = project.settings
    if time_zone:
        environ["TZ"] = time_zone
        time.tzset()


def _bind(chosen: dict[str, Any], sources: dict[str, str]) -> None:
    """Let numbers of workers that stand with queues be the number of workers. Raises Unusable if they disagree."""
    groups = chosen.get("queues") or ("*",)
    try:
        found = bindings_of(possible_queues(groups))
    except ValueError as error:
        raise Unusable(f"{sources['queues']}: {error}") from error
    if not found:
        return
    wrong = of_workers(chosen.get("workers"), groups, name=sources["workers"])
    if wrong and _rank(sources["workers"]) >= _rank(sources["queues"]):
        raise Unusable(f"{wrong.text}. {wrong.fix}")
    bound = sum(binding.workers for binding in found)
    if chosen.get("workers") != bound:
        sources["workers"] = sources["queues"]
    chosen["workers"], chosen["bindings"] = bound, tuple(Binding(*binding) for binding in found)


def _rank(source: str) -> int:
    """Return which of two sources wins: the command line, then the environment, then the settings."""
    return source.startswith("-") * 2 + source.startswith("BGTASKSD_")


def _options(chosen: Mapping[str, Any], project: Project, runtime_dir: str) -> Options:
    fields = {option.name for option in TABLE} - {"settings", "chdir", "runtime_dir"} | {*KEYS_ALONE, "bindings"}
    given = {name: value for name, value in chosen.items() if name in fields}
    given = {**_defaults(given), **given}
    given["queues"] = tuple(given["queues"]) if given.get("queues") else None
    if given["daemon"] and not given.get("log_file"):
        given["log_file"] = str(Path(runtime_dir) / "bgtasksd.log")  # a daemon has no terminal to write to
    if given.get("log_file"):
        given["log_file"] = str(Path(given["log_file"]).absolute())
    return Options(
        settings=project.settings, settings_source=project.source, root=str(project.root),
        version=__version__, runtime_dir=runtime_dir, **given,
    )  # fmt: skip


def _checked(options: Options, sources: Mapping[str, str]) -> Options:
    wrong = contradictions(options, sources)
    if options.log_file and (why := why_no_log(options.log_file)):
        wrong.append(f"the log {options.log_file}: {why}")
    if wrong:
        raise Unusable("\n".join(wrong))
    return options


def _defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that follow from other values."""
    sleep, lease = given.get("sleep", 5.0), given.get("lease", 60.0)
    return {
        "workers": default_workers(),
        "daemon": False,
        "status_socket": False,
        "idle_timeout": max(60.0, 4 * sleep),
        "orphan_timeout": min(30.0, lease * 2 / 3),
    }


def read_settings(project: Project) -> dict[str, Any]:
    """Return what the settings say, read by a child that ends with it. Raises Unusable with what is wrong there."""
    reader, writer = os.pipe()
    arguments = [_HOME, str(project.root), project.settings, str(writer), str(os.getpid())]
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-c", _CHILD, *arguments], pass_fds=[writer], stdin=subprocess.DEVNULL
    )
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        told = stream.readline()
    code = child.wait()
    if not told:
        raise Unusable(f"reading the settings {project.settings} ended with exit code {code}")
    answer: dict[str, Any] = json.loads(told)
    if "error" in answer:
        raise Unusable(f"{answer['error']}\n(settings {project.settings}, found by {project.source})")
    return answer


_HOME = str(Path(bgtasksd.__file__).parent.parent)
_CHILD = "import sys; sys.path.append(sys.argv[1]); from bgtasksd.settings_child import main; main(*sys.argv[2:])"
"""Finds this very package, wherever it was imported from, without putting its home before the standard library."""
