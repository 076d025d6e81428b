"""The verbs that need Django, for `bgtasksd VERB` and `manage.py bgtasks VERB`: options in, an answer out, no printing.

A verb is a module with SUMMARY, EXAMPLES, `add_arguments(parser)` and `run(given)`. It imports Django when it runs.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

VERBS = (
    *("export-legacy", "import-celery-beat", "import-django-q", "import-legacy"),
    *("pause", "prune", "resume", "tasks"),
)
"""Names of the verbs, and of the modules but for the hyphen."""
USAGE = 2
CONFIGURATION = 78


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb has done: for people, and as the object that `--json` prints."""

    text: str
    facts: dict[str, Any]
    exit_code: int = 0
    lines: Iterable[dict[str, Any]] | None = None
    """What `--json` prints instead: one object a line. They may be read while they are printed, and raise NotDone."""
    talk: str = ""
    """What people are told beside it, on stderr."""

    def in_json(self) -> Iterator[str]:
        """Yield the lines that `--json` prints."""
        for each in [self.facts] if self.lines is None else self.lines:
            yield json.dumps(each, ensure_ascii=False)


class NotDone(Exception):
    """The verb could not do what was asked; the message says why, `fix` what to do."""

    def __init__(self, message: str, *, code: str, fix: str | None = None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.code, self.fix, self.exit_code = code, fix, exit_code


def module_of(verb: str) -> Any:
    """Return the module of a verb."""
    return import_module(f"bgtasks.management.verbs.{verb.replace('-', '_')}")


def parsers_below(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    """Return the parsers of a verb's own verbs by name: what stands behind `tasks list` is parsed by that of `list`."""
    made = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    return {name: below for action in made for name, below in action.choices.items()}


def answer(verb: str, given: Namespace) -> Answer:
    """Do what a verb says, once Django is set up. Raises NotDone."""
    with _explained():
        _refuse_unknown_database()
        answered: Answer = module_of(verb).run(given)
    return answered if answered.lines is None else replace(answered, lines=_read(answered.lines))


def _read(lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines; what goes wrong at any of them is explained like what goes wrong before the first."""
    with _explained():
        yield from lines


def _refuse_unknown_database() -> None:
    from django.core.exceptions import ImproperlyConfigured  # only after the front end has set Django up
    from django.db import connections

    from bgtasks import conf

    if (alias := conf.current().database) not in connections:
        raise ImproperlyConfigured(f"BGTASKS['DATABASE'] is {alias!r}, which is not in DATABASES")


@contextmanager
def _explained() -> Iterator[None]:
    """Raise NotDone for what the settings or the database refuse."""
    from django.core.exceptions import ImproperlyConfigured  # only after the front end has set Django up
    from django.db import Error

    try:
        yield
    except ImproperlyConfigured as error:
        raise NotDone(str(error), code="configuration", exit_code=CONFIGURATION) from error
    except Error as error:
        from bgtasks.queue import claims  # imports models

        fix = "python manage.py migrate" if claims.are_missing(error) else "python manage.py dbshell"
        raise NotDone(f"the database: {str(error).strip()}", code="database", fix=fix) from error


def reading(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make argparse show what a reader says about a wrong value."""

    def read_argument(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return read_argument


def text(typed: str) -> str:
    """Return what was typed. Raises ValueError for bytes that are no text: a database, or its driver, refuses them."""
    try:
        typed.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{typed!r} is not UTF-8: write it in that encoding") from None
    return typed


def number_up_to(largest: int) -> Callable[[str], int]:
    """Return a reader of numbers from 1 to this one."""

    def read_number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= largest:
            raise ValueError(f"{text!r} is not a number from 1 to {largest:,}")
        return int(text)

    return read_number
