"""The parser: every verb with its options and examples; what is unknown is answered with the nearest name."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from bgtasks import __version__
from bgtasks.management import verbs as project_verbs
from bgtasksd.cli.arguments import add_options
from bgtasksd.cli.printing import fail
from bgtasksd.cli.verbs import VERBS, module_of

EXAMPLES = """examples:
  bgtasksd start --workers 4          run the project here, until Ctrl-C
  bgtasksd status                     what runs, what waits, what is wrong
  bgtasksd stop                       let running tasks finish, then end
  bgtasksd pause mail --for 30m       let no task of this queue start, on any host"""


class Parser(argparse.ArgumentParser):
    """Argparse with the nearest name in its errors, and errors as JSON where JSON was asked for."""

    usage_exit_code = 2
    """What ends the process when this parser is not understood; some verbs have another meaning for 2."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **arguments)

    def error(self, message: str) -> NoReturn:
        raise UsageError(self, message)

    def names(self) -> list[str]:
        """Return what can stand where something was not understood: options, and verbs if there are any."""
        verbs = [name for action in self._actions for name in action.choices or () if isinstance(name, str)]
        return [*self._option_string_actions, *verbs]


class UsageError(Exception):
    """What was typed is not understood by this parser."""

    def __init__(self, parser: Parser, message: str) -> None:
        super().__init__(message)
        self.parser = parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what was typed; without a verb that of `status`. Ends the process for what is not understood."""
    parser, verbs = build("status", *VERBS.keys() & set(arguments))
    try:
        given, unknown = parser.parse_known_args(arguments)
        if unknown:
            asked = f"{given.verb} {getattr(given, 'action', '')}".strip()
            raise UsageError(verbs.get(asked, parser), f"unknown: {' '.join(unknown)}")
        if given.verb is None:
            given = parser.parse_args([*arguments, "status"])
            given.or_help = parser.format_help().rstrip()
        given.build = build  # for a verb that speaks of all verbs: it cannot import what imports it
    except UsageError as error:
        sys.exit(_explain(error, is_json="--json" in arguments))
    return given


def _explain(error: UsageError, *, is_json: bool) -> int:
    message = re.sub(r"\(choose from .*\)", "", str(error)).strip()
    is_unknown = message.startswith("unknown:") or "invalid choice" in message
    near = _nearest(message, error.parser.names()) if is_unknown else None
    fix = f"did you mean {near!r}?" if near else f"{error.parser.prog} --help"
    return fail(error.parser.usage_exit_code, "usage", message, fix, is_json=is_json)


def _nearest(message: str, names: Sequence[str]) -> str | None:
    words: list[str] = re.findall(r"[\w-]+", message.rpartition(":")[2])
    near = [match for word in words for match in difflib.get_close_matches(word, names, n=1)]
    return near[0] if near else None


def build(*asked: str) -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and those of the verbs by name; only the `asked` ones take arguments, if any are named."""
    parser = Parser(
        prog="bgtasksd", description=f"Keeps the workers of bgtasks alive.\n\n{EXAMPLES}", epilog="bgtasksd VERB --help"
    )
    parser.add_argument("--version", action="version", version=f"bgtasksd {__version__}")
    _add_common(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    made = {}
    for name, summary in VERBS.items():
        made[name] = verbs.add_parser(name, help=summary)
        if name in asked or not asked:
            _complete(made[name], summary, module_of(name))
    for name in project_verbs.VERBS:
        verb = project_verbs.module_of(name)
        made[name] = verbs.add_parser(name, help=verb.SUMMARY)
        _complete(made[name], verb.SUMMARY, verb)
        add_options(made[name], "settings", "chdir")
        for action, below in project_verbs.parsers_below(made[name]).items():
            assert isinstance(below, Parser)
            made[f"{name} {action}"] = below
            add_options(below, "settings", "chdir", default=argparse.SUPPRESS)
    for each in made.values():
        _add_common(each, is_below=True)
    return parser, made


def _complete(parser: Parser, summary: str, verb: Any) -> None:
    """Give a verb's parser its text and its arguments."""
    parser.description = f"{summary}\n\n{verb.EXAMPLES}"
    parser.usage_exit_code = getattr(verb, "USAGE_EXIT_CODE", Parser.usage_exit_code)
    verb.add_arguments(parser)


def _add_common(parser: Parser, *, is_below: bool = False) -> None:
    """Add what every verb takes, before or after its name."""
    missing: dict[str, Any] = {"default": argparse.SUPPRESS} if is_below else {}
    add_options(parser, "instance", "runtime_dir", **missing)
    parser.add_argument("--json", action="store_true", help="answer with JSON on stdout", **missing)
    parser.add_argument("--no-color", action="store_true", help="no colours, also on a terminal", **missing)
