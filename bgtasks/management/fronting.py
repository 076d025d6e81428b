"""How a command of manage.py shows what a verb has done: its answer, or why it was not done."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from bgtasks.management.verbs import NotDone, answer, module_of, parsers_below
from bgtasks.output import CannotPrint, say

JSON = "answer with JSON on stdout"


class VerbCommand(BaseCommand):
    """A command that is one verb, named in `verb`."""

    verb: ClassVar[str]
    requires_system_checks: list[str] = []

    def create_parser(self, *args: Any, **kwargs: Any) -> Any:
        verb = module_of(self.verb)
        self.help = f"{verb.SUMMARY}\n\n" + verb.EXAMPLES.replace(f"bgtasksd {self.verb}", f"manage.py {self.name}")
        return super().create_parser(*args, **kwargs, formatter_class=argparse.RawDescriptionHelpFormatter)

    @property
    def name(self) -> str:
        """What is typed after `manage.py`."""
        return type(self).__module__.rpartition(".")[2]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        module_of(self.verb).add_arguments(parser)
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        show(self, self.verb, options)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add what every verb takes, before or after the name of a verb below it."""
    parser.add_argument("--json", action="store_true", help=JSON)
    for each in parsers_below(parser).values():
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=JSON)


def show(command: BaseCommand, verb: str, options: dict[str, Any]) -> None:
    """Do what a verb says and print the answer. Raises CommandError, or SystemExit where the exit code says more."""
    try:
        ended = _show(command, verb, options)
    except CannotPrint as error:
        ended = CommandError(str(error))
    if isinstance(ended, CommandError):
        raise ended  # not above, where a list is half read: Django closes the connection before it shows the error
    if ended:
        sys.exit(ended)


def _show(command: BaseCommand, verb: str, options: dict[str, Any]) -> int | CommandError:
    """Print the answer, or as JSON why there is none. Return the exit code, or the error to raise."""
    try:
        answered = answer(verb, argparse.Namespace(**options))
        for text in answered.in_json() if options["json"] else filter(None, [answered.text]):
            say(text, command.stdout)
    except NotDone as error:
        if options["json"]:
            told = {"code": error.code, "message": str(error), "fix": error.fix}
            say(json.dumps({"schema_version": 1, "error": told}, ensure_ascii=False), command.stdout)
        fix = f"\n{error.fix}" if error.fix else ""
        return CommandError(f"{error}{fix}", returncode=error.exit_code)
    if answered.talk and not options["json"]:
        command.stderr.write(answered.talk)
    return answered.exit_code
