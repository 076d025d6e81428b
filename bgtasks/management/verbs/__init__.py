"""The verbs that need Django, for `bgtasksd VERB` and `manage.py bgtasks VERB`: options in, an answer out, no printing.

A verb is a module with SUMMARY, EXAMPLES, `add_arguments(parser)` and `run(given)`. It imports Django when it runs.
"""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

VERBS = ("pause", "prune", "resume")
"""Names of the modules, and of the verbs."""
USAGE = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb has done: for people, and as the object that `--json` prints."""

    text: str
    facts: dict[str, Any]
    exit_code: int = 0


class NotDone(Exception):
    """The verb could not do what was asked; the message says why, `fix` what to do."""

    def __init__(self, message: str, *, code: str, fix: str | None = None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.code, self.fix, self.exit_code = code, fix, exit_code


def module_of(verb: str) -> Any:
    """Return the module of a verb."""
    return import_module(f"bgtasks.management.verbs.{verb}")


def answer(verb: str, given: Namespace) -> Answer:
    """Do what a verb says, once Django is set up. Raises NotDone."""
    from django.core.exceptions import ImproperlyConfigured  # only after the front end has set Django up
    from django.db import Error

    try:
        answered: Answer = module_of(verb).run(given)
    except ImproperlyConfigured as error:
        raise NotDone(str(error), code="configuration") from error
    except Error as error:
        is_missing = "bgtasks_" in str(error)
        fix = "python manage.py migrate" if is_missing else "python manage.py dbshell"
        raise NotDone(f"the database: {str(error).strip()}", code="database", fix=fix) from error
    return answered


def reading(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make argparse show what a reader says about a wrong value."""

    def read_argument(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return read_argument
