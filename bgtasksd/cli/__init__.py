"""The command line: parse, ask, print; what is done is elsewhere. A verb's module is imported when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from bgtasksd.cli.parser import parse

INTERRUPTED = 130
DIRECT = {"start": "bgtasksd.cli.start", "status": "bgtasksd.cli.status", "stop": "bgtasksd.cli.stop"}
"""Verbs that talk to the daemon or are it. All others need the project, and so Django."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `bgtasksd` with these arguments, those of the process by default, and return the exit code."""
    try:
        given = parse(sys.argv[1:] if arguments is None else arguments)
        code: int = import_module(DIRECT.get(given.verb, "bgtasksd.cli.project")).run(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
