"""What the parsers of the verbs are made of: rows of the table of options, and readers whose errors argparse shows."""

from __future__ import annotations

import argparse
from typing import Any

from bgtasks.management.verbs import reading
from bgtasksd.cli.values import reader
from bgtasksd.option_table import TABLE, Option


def add_options(parser: argparse.ArgumentParser, *names: str, **more: Any) -> None:
    """Add these rows of the table of options."""
    for option in TABLE:
        if option.name in names:
            add_option(parser, option, **more)


def add_option(parser: argparse.ArgumentParser, option: Option, **more: Any) -> None:
    """Add one row of the table of options."""
    default = f" (default: {option.default})" if option.default else ""
    explained = f"{option.help}{default} [{option.variable}]".replace("%", "%%")
    if option.kind == "flag":
        parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, help=explained, **more)
    elif option.kind == "queues":
        flags = (option.flag, option.other_flag)
        read = reading(reader(option))
        parser.add_argument(*flags, type=read, action="extend", metavar=option.metavar, help=explained, **more)
    else:
        metavar = option.metavar or option.kind
        parser.add_argument(option.flag, type=reading(reader(option)), metavar=metavar, help=explained, **more)


def add_value(parser: argparse.ArgumentParser, flag: str, kind: str, explained: str, **more: Any) -> None:
    """Add an option of one verb alone whose value is a `duration`, a `size` or a `count`."""
    metavar = {"duration": "TIME", "size": "SIZE", "count": "N"}[kind]
    parser.add_argument(flag, type=reading(reader(Option("", kind, ""))), metavar=metavar, help=explained, **more)


def add_slot(parser: argparse.ArgumentParser, name: str, nargs: str | None = None, more: str = "") -> None:
    """Add the number of a worker's place, or several."""
    explained = f"number of a worker's place, as `status --json` has it{more}"
    parser.add_argument(name, nargs=nargs, type=reading(_read_slot), metavar="SLOT", help=explained)


def _read_slot(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 10**6):
        raise ValueError(f"{text!r} is not the number of a slot")
    return int(text)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option that leaves all to the exit code."""
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing: the exit code says it")


def add_waiting(parser: argparse.ArgumentParser) -> None:
    """Add what verbs take whose change goes on after the daemon has accepted it."""
    parser.add_argument("--wait", action="store_true", help="return when it is done; tell how it goes until then")
    add_value(parser, "--timeout", "duration", "with --wait: wait no longer, then exit 1; the change goes on")
