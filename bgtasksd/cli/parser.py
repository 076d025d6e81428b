"""The parser: every verb with its options and examples; what is unknown is answered with the nearest name."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from bgtasks import __version__
from bgtasks.management import verbs as project_verbs
from bgtasksd.cli.printing import fail
from bgtasksd.cli.values import reader
from bgtasksd.options import TABLE, Option

EXAMPLES = """examples:
  bgtasksd start --workers 4          run the project here, until Ctrl-C
  bgtasksd status                     what runs, what waits, what is wrong
  bgtasksd stop                       let running tasks finish, then end
  bgtasksd pause mail --for 30m       let no task of this queue start, on any host"""
START_EXAMPLES = """examples:
  bgtasksd start --workers 4 --max-age 1h --max-memory 300M
  bgtasksd start --queue mail:2 --queue '*:2' --settings mysite.settings
  bgtasksd start --daemon --log-file /var/log/bgtasksd.log

Every option can also be given as an environment variable (--max-age: BGTASKSD_MAX_AGE), and most of them in the
settings (BGTASKS = {"MAX_AGE": "1h"}). The command line wins, then the environment, then the settings."""
STATUS_EXAMPLES = """examples:
  bgtasksd status
  bgtasksd status --json
  bgtasksd status -q --max-oldest 5m --min-workers 4 || alert

exit codes: 0 healthy, 1 degraded, 2 usage, 3 not running, 4 cannot tell"""
STOP_EXAMPLES = """examples:
  bgtasksd stop                       running tasks finish
  bgtasksd stop --now                 running tasks are interrupted and go back to their queue

exit codes: 0 stopped, 1 it did not end in time, 3 not running"""


class Parser(argparse.ArgumentParser):
    """Argparse with the nearest name in its errors, and errors as JSON where JSON was asked for."""

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
    """Return what was typed; without a verb that of `status`. Ends the process with 2 for what is not understood."""
    parser, verbs = build()
    try:
        given, unknown = parser.parse_known_args(arguments)
        if unknown:
            raise UsageError(verbs.get(given.verb, parser), f"unknown: {' '.join(unknown)}")
        if given.verb is None:
            return parser.parse_args([*arguments, "status", "--or-help"])
    except UsageError as error:
        sys.exit(_explain(error, is_json="--json" in arguments))
    return given


def _explain(error: UsageError, *, is_json: bool) -> int:
    message = re.sub(r"\(choose from .*\)", "", str(error)).strip()
    is_unknown = message.startswith("unknown:") or "invalid choice" in message
    near = _nearest(message, error.parser.names()) if is_unknown else None
    fix = f"did you mean {near!r}?" if near else f"{error.parser.prog} --help"
    return fail(2, "usage", message, fix, is_json=is_json)


def _nearest(message: str, names: Sequence[str]) -> str | None:
    words: list[str] = re.findall(r"[\w-]+", message.rpartition(":")[2])
    near = [match for word in words for match in difflib.get_close_matches(word, names, n=1)]
    return near[0] if near else None


def build() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and those of the verbs by name."""
    parser = Parser(
        prog="bgtasksd", description=f"Keeps the workers of bgtasks alive.\n\n{EXAMPLES}", epilog="bgtasksd VERB --help"
    )
    parser.add_argument("--version", action="version", version=f"bgtasksd {__version__}")
    _add_common(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    made = {}
    for name, (summary, examples, add_arguments) in {**_VERBS, **_verbs_of_the_project()}.items():
        made[name] = verbs.add_parser(name, help=summary, description=f"{summary}\n\n{examples}")
        add_arguments(made[name])
        _add_common(made[name], is_below=True)
    return parser, made


def _verbs_of_the_project() -> dict[str, tuple[str, str, Callable[[Parser], None]]]:
    found = {}
    for name in project_verbs.VERBS:
        verb = project_verbs.module_of(name)
        found[name] = (verb.SUMMARY, verb.EXAMPLES, partial(_add_of_the_project, verb.add_arguments))
    return found


def _add_of_the_project(add_arguments: Callable[[Parser], None], parser: Parser) -> None:
    add_arguments(parser)
    for option in TABLE:
        if option.name in ("settings", "chdir"):
            _add_option(parser, option)


def _add_common(parser: Parser, *, is_below: bool = False) -> None:
    """Add what every verb takes, before or after its name."""
    missing: dict[str, Any] = {"default": argparse.SUPPRESS} if is_below else {}
    for option in TABLE:
        if option.name in ("instance", "runtime_dir"):
            _add_option(parser, option, **missing)
    parser.add_argument("--json", action="store_true", help="answer with JSON on stdout", **missing)
    parser.add_argument("--no-color", action="store_true", help="no colours, also on a terminal", **missing)


def _add_start(parser: Parser) -> None:
    for option in TABLE:
        if option.name not in ("instance", "runtime_dir"):
            _add_option(parser, option)
    parser.add_argument("--check-config", action="store_true", help="show what would be used, start nothing")


def _add_option(parser: Parser, option: Option, **more: Any) -> None:
    default = f" (default: {option.default})" if option.default else ""
    explained = f"{option.help}{default} [{option.variable}]".replace("%", "%%")
    if option.kind == "flag":
        parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, help=explained, **more)
    elif option.kind == "queues":
        flags = (option.flag, option.other_flag)
        read = _argument(reader(option))
        parser.add_argument(*flags, type=read, action="extend", metavar=option.metavar, help=explained, **more)
    else:
        metavar = option.metavar or option.kind
        parser.add_argument(option.flag, type=_argument(reader(option)), metavar=metavar, help=explained, **more)


def _add_status(parser: Parser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing: the exit code says it")
    parser.add_argument("--strict", action="store_true", help="a warning makes the exit code 1, too")
    parser.add_argument("--or-help", action="store_true", help=argparse.SUPPRESS)
    for name, kind, explained in (
        ("max_oldest", "duration", "degraded when a ready task has waited longer"),
        ("max_failed", "count", "degraded when more tasks failed in the last hour"),
        ("min_workers", "count", "degraded when fewer workers are up"),
    ):
        option = Option(name, kind, explained)
        metavar = "TIME" if kind == "duration" else "N"
        parser.add_argument(option.flag, type=_argument(reader(option)), metavar=metavar, help=explained)


def _add_stop(parser: Parser) -> None:
    timeout = Option("timeout", "duration", "")
    parser.add_argument("--now", action="store_true", help="interrupt running tasks instead of letting them finish")
    parser.add_argument(
        "--timeout", type=_argument(reader(timeout)), metavar="TIME", help="wait no longer, then exit 1"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing: the exit code says it")


_VERBS: dict[str, tuple[str, str, Callable[[Parser], None]]] = {
    "start": ("Run the workers of a project.", START_EXAMPLES, _add_start),
    "status": ("Say what runs, what waits and what is wrong.", STATUS_EXAMPLES, _add_status),
    "stop": ("Stop the daemon and wait for its end.", STOP_EXAMPLES, _add_stop),
}


def _argument(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make argparse show what a reader says about a wrong value."""

    def read_argument(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read_argument
