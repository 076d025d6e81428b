"""From options to a running supervisor: at a start, and in a new program that goes on with a running daemon."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from dataclasses import dataclass
from functools import partial

from bgtasks import __version__
from bgtasks.output import FoldingHandler, formatter
from bgtasks.queue_filters import filter_of
from bgtasksd import journal
from bgtasksd.cli import banner
from bgtasksd.cli.configuration import Origin
from bgtasksd.cli.printing import complain
from bgtasksd.cli.rereading import reread
from bgtasksd.control import ControlError
from bgtasksd.exit_codes import EXIT_CONFIGURATION, EXIT_SOFTWARE
from bgtasksd.lock import Lock
from bgtasksd.options import Options, options_from
from bgtasksd.project import VARIABLE
from bgtasksd.supervisor import Supervisor, handover
from bgtasksd.supervisor.upgrading import Program
from bgtasksd.systemd import Notifier

logger = logging.getLogger("bgtasksd")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a supervisor is made of."""

    options: Options
    origin: Origin
    database: str
    """Names the database of the tasks."""


def open_log(options: Options, *, is_explicit: bool) -> None:
    """Write the log where the options say. Raises OSError."""
    written = formatter(options.log_format or "auto", None if options.log_file else sys.stderr)
    form = banner.BannerFormatter(written)
    journal.configure(form, options.log_file, is_explicit=is_explicit, handler_in_child=FoldingHandler)


def supervise(
    beginning: Beginning, lock: Lock, notifier: Notifier, state: handover.State | None = None
) -> tuple[int, str]:
    """Be the supervisor to the end; return the exit code, and the text to show when it could not start."""
    options, origin = beginning.options, beginning.origin
    supervisor = Supervisor(options, lock, notifier)
    supervisor.situation.serves = _serves
    supervisor.reloading.reread = partial(reread, origin)
    supervisor.reloading.database = beginning.database
    supervisor.upgrading.program = Program(sys.executable, sys.orig_argv, origin.environ, origin.directory)
    try:
        code = supervisor.run(state)
    except ControlError as error:
        return EXIT_CONFIGURATION, str(error)
    except Exception:
        logger.exception("the supervisor failed; its workers finish their tasks and leave")
        return EXIT_SOFTWARE, ""
    # in the foreground the log has it already; the parent of a daemon shows it
    return code, supervisor.error_text if options.daemon else ""


def resume(typed: argparse.Namespace, handed: str) -> int:
    """Go on with the daemon that the program before this one was; or only say whether that could be."""
    kind, _, version = handed.partition(":")
    if kind == "check":
        if not handover.can_read(version):
            complain(f"bgtasksd: {__version__} cannot go on from a state of version {version}: restart the daemon")
            return EXIT_SOFTWARE
        return 0
    try:
        state = handover.read(int(handed))
        beginning = _beginning(typed, state)
        open_log(beginning.options, is_explicit=state["log"]["is_explicit"])
    except (handover.Unreadable, OSError, ValueError, KeyError, TypeError) as error:
        complain(f"bgtasksd: not upgraded, the workers finish their tasks and leave: {error}")
        return EXIT_SOFTWARE
    if state["log"]["level"]:
        journal.set_level(state["log"]["level"])
    lock = Lock(beginning.options.runtime_dir, state["lock"])
    try:
        return supervise(beginning, lock, Notifier.from_environment(), state)[0]
    finally:
        lock.release()


def _beginning(typed: argparse.Namespace, state: handover.State) -> Beginning:
    """Return what the state says, and put the process where it was."""
    options = options_from({**state["options"], "version": __version__})
    origin = Origin(typed, dict(os.environ), state["directory"])
    os.chdir(state["cwd"])
    os.environ[VARIABLE] = options.settings
    if state["time_zone"]:
        os.environ["TZ"] = state["time_zone"]
        time.tzset()
    return Beginning(options, origin, state["database_of_tasks"])


def _serves(patterns: tuple[str, ...] | None, queue: str) -> bool:
    return patterns is None or filter_of(patterns).matches(queue)
