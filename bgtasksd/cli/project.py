"""The verbs that need the project: find it, set Django up in this process, do what was asked, print the answer."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bgtasks.management import verbs
from bgtasksd.cli.printing import complain, fail, say
from bgtasksd.cli.values import WrongValue, choose, from_environment
from bgtasksd.exit_codes import EXIT_CONFIGURATION, EXIT_SOFTWARE, EXIT_USAGE
from bgtasksd.project import VARIABLE, ProjectNotFound, find_project
from bgtasksd.reasons import in_full


def run(typed: argparse.Namespace) -> int:
    """Do what the verb says; the exit code tells whether it was done."""
    try:
        found = set_up(typed)
    except (WrongValue, ProjectNotFound) as error:
        return fail(EXIT_USAGE, "usage", str(error), is_json=typed.json)
    except OSError as error:
        return fail(EXIT_USAGE, "usage", f"--chdir {error.filename}: {error.strerror}", is_json=typed.json)
    except Unloadable as error:
        return fail(error.exit_code, error.code, str(error), is_json=typed.json)
    if typed.runtime_dir:
        from bgtasks import waking  # only now: it imports Django

        waking.look_in(typed.runtime_dir)
    try:
        answered = verbs.answer(typed.verb, typed)
        for text in answered.in_json() if typed.json else filter(None, [answered.text]):
            say(text)
    except verbs.NotDone as error:
        message = f"{error}\n{found}" if error.code == "configuration" else str(error)
        return fail(error.exit_code, error.code, message, error.fix, is_json=typed.json)
    if answered.talk and not typed.json:
        complain(answered.talk)
    return answered.exit_code


class Unloadable(Exception):
    """The project's settings or apps cannot be imported; the message says why, `exit_code` how to end."""

    def __init__(self, message: str, code: str = "configuration", exit_code: int = EXIT_CONFIGURATION) -> None:
        super().__init__(message)
        self.code, self.exit_code = code, exit_code


def set_up(typed: argparse.Namespace) -> str:
    """Load the project's settings and apps; say which. Raises WrongValue, ProjectNotFound, OSError or Unloadable."""
    given = {name: value for name, value in vars(typed).items() if value is not None}
    chosen = choose(given, from_environment(os.environ), {})
    os.chdir(chosen.get("chdir") or ".")
    project = find_project(chosen.get("settings"), os.environ, Path.cwd())
    os.environ[VARIABLE] = project.settings
    sys.path.insert(0, str(project.root))
    found = f"(settings {project.settings}, found by {project.source})"
    try:
        _load(project.settings)
    except Unloadable as error:
        raise Unloadable(f"{error}\n{found}", error.code, error.exit_code) from error
    return found


def _load(settings_module: str) -> None:
    """Import the settings, then the apps. Raises Unloadable, with what is theirs of a traceback."""
    try:
        import django  # only where a verb needs it
        from django.apps import apps
        from django.conf import settings
    except ImportError as error:
        raise Unloadable(f"Django cannot be imported by {sys.executable}: {error}") from error
    with _explained(f"the settings {settings_module} cannot be imported", "configuration", EXIT_CONFIGURATION):
        settings.INSTALLED_APPS  # noqa: B018 - the first access imports the module
    with _explained("the application cannot be loaded", "project", EXIT_SOFTWARE):
        django.setup()
    if not apps.is_installed("bgtasks"):
        raise Unloadable("bgtasks is not installed in the project: add 'bgtasks' to INSTALLED_APPS")


@contextmanager
def _explained(what: str, code: str, exit_code: int) -> Iterator[None]:
    """Raise Unloadable for whatever is raised, also a SystemExit in somebody's settings."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        yield
    except KeyboardInterrupt:
        raise
    except ImproperlyConfigured as error:
        raise Unloadable(str(error)) from error
    except BaseException as error:
        raise Unloadable(f"{what}: {in_full(error)}", code, exit_code) from error
