"""The verbs that need the project: find it, set Django up in this process, do what was asked, print the answer."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path

from bgtasks.management import verbs
from bgtasksd.cli.printing import complain, fail, say
from bgtasksd.cli.values import WrongValue, choose, from_environment
from bgtasksd.project import VARIABLE, ProjectNotFound, find_project

NOT_DONE, USAGE = 1, 2


def run(typed: argparse.Namespace) -> int:
    """Do what the verb says; the exit code tells whether it was done."""
    try:
        set_up(typed)
    except (WrongValue, ProjectNotFound) as error:
        return fail(USAGE, "usage", str(error), is_json=typed.json)
    except OSError as error:
        return fail(USAGE, "usage", f"--chdir {error.filename}: {error.strerror}", is_json=typed.json)
    except Unloadable as error:
        return fail(NOT_DONE, "project", str(error), is_json=typed.json)
    if typed.runtime_dir:
        from bgtasks import waking  # only now: it imports Django

        waking.look_in(typed.runtime_dir)
    try:
        answered = verbs.answer(typed.verb, typed)
        for text in answered.in_json() if typed.json else filter(None, [answered.text]):
            say(text)
    except verbs.NotDone as error:
        return fail(error.exit_code, error.code, str(error), error.fix, is_json=typed.json)
    if answered.talk and not typed.json:
        complain(answered.talk)
    return answered.exit_code


class Unloadable(Exception):
    """The project's settings or apps cannot be imported; the message says why."""


def set_up(typed: argparse.Namespace) -> None:
    """Load the project's settings and apps. Raises WrongValue, ProjectNotFound, OSError or Unloadable."""
    given = {name: value for name, value in vars(typed).items() if value is not None}
    chosen = choose(given, from_environment(os.environ), {})
    os.chdir(chosen.get("chdir") or ".")
    project = find_project(chosen.get("settings"), os.environ, Path.cwd())
    os.environ[VARIABLE] = project.settings
    sys.path.insert(0, str(project.root))
    try:
        import django  # only where a verb needs it
        from django.apps import apps

        django.setup()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        told = "".join(traceback.format_exception(error)).rstrip()  # also of a SystemExit in somebody's settings
        where = f"{project.settings} (found by {project.source})"
        raise Unloadable(f"the settings {where} cannot be loaded:\n{told}") from error
    if not apps.is_installed("bgtasks"):
        raise Unloadable("bgtasks is not installed in the project: add 'bgtasks' to INSTALLED_APPS")
