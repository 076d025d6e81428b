"""The command line: parse, ask, print; what is done is elsewhere. A verb's module is imported when it is asked for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from bgtasks.output import CannotPrint
from bgtasksd.cli.parser import parse
from bgtasksd.cli.printing import fail, open_streams
from bgtasksd.cli.verbs import VERBS, module_of

NOT_WRITTEN = 1
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `bgtasksd` with these arguments, those of the process by default, and return the exit code."""
    open_streams()
    try:
        given = parse(sys.argv[1:] if arguments is None else arguments)
        home = _home_of(given.verb)
        _hear_interrupts()
        code: int = home.run(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except CannotPrint as error:
        return fail(NOT_WRITTEN, "output", str(error))
    return code


def _hear_interrupts() -> None:
    """Let Ctrl-C be an exception from now on: while modules are loaded it could come where it is only shown."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _home_of(verb: str) -> Any:
    """Return what runs a verb: its own module; for those that need the project, and so Django, one for all."""
    return module_of(verb) if verb in VERBS else import_module("bgtasksd.cli.project")
