"""`bgtasksd start`: everything before the loop, in the order that leaves nothing behind when it fails."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from bgtasks.output import FoldingHandler, formatter
from bgtasks.queue_filters import filter_of
from bgtasksd import journal
from bgtasksd.cli import banner
from bgtasksd.cli.configuration import EXIT_CONFIGURATION, Configuration, Unusable, configure
from bgtasksd.cli.printing import complain, fail, say, say_json
from bgtasksd.cli.values import unknown_variables
from bgtasksd.control import ControlError, ControlServer
from bgtasksd.lock import Lock, LockHeld, owner_pid
from bgtasksd.options import TABLE, Options
from bgtasksd.status import Connection
from bgtasksd.supervisor import Supervisor
from bgtasksd.systemd import Notifier

EXIT_SOFTWARE = 70
EXIT_RUNNING = 73
UMASK = 0o027

logger = logging.getLogger("bgtasksd")


def run(typed: argparse.Namespace) -> int:
    """Start a daemon, or with --check-config only say how it would start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the loop runs there is nothing to clean up
    try:
        configuration = configure(typed, os.environ)
    except Unusable as error:
        return fail(error.exit_code, "configuration", str(error), is_json=typed.json)
    if typed.check_config:
        return _show(configuration, is_json=typed.json)
    os.umask(UMASK)
    if configuration.options.daemon:
        from bgtasksd.cli.background import run_in_background  # python-daemon, which the foreground never needs

        return run_in_background(configuration, live)
    code, text = live(configuration, Notifier.from_environment())
    return fail(code, "start", text, is_json=typed.json) if text else code


def _show(configuration: Configuration, *, is_json: bool) -> int:
    """Print the options in force and where each comes from."""
    options = configuration.options
    for sentence in unknown_variables(os.environ):
        complain(f"bgtasksd: {sentence}")
    values = {option.name: getattr(options, option.name) for option in TABLE if hasattr(options, option.name)}
    if is_json:
        say_json({"schema_version": 1, "options": values, "sources": dict(configuration.sources)})
        return 0
    for name, value in values.items():
        given = "-" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)
        say(f"{name:<14} {given:<30} {configuration.sources[name]}".rstrip())
    say("the configuration is good")
    return 0


def live(configuration: Configuration, notifier: Notifier) -> tuple[int, str]:
    """Be the daemon until it ends; return the exit code, and the text to show when it could not start."""
    options = configuration.options
    try:
        lock = Lock.acquire(options.runtime_dir)
    except LockHeld:
        return EXIT_RUNNING, already_running(Path(options.runtime_dir))
    except OSError as error:
        return EXIT_CONFIGURATION, f"no lock in {options.runtime_dir}: {error.strerror}"
    try:
        _log(configuration)
    except OSError as error:
        return EXIT_CONFIGURATION, f"the log {options.log_file}: {error.strerror}"
    else:
        return _supervise(options, lock, notifier)
    finally:
        lock.release()


def _log(configuration: Configuration) -> None:
    options = configuration.options
    written = formatter(options.log_format or "auto", None if options.log_file else sys.stderr)
    is_explicit = any(configuration.sources[name] != "default" for name in ("log_file", "log_format"))
    journal.configure(
        banner.BannerFormatter(written), options.log_file, is_explicit=is_explicit, handler_in_child=FoldingHandler
    )
    for sentence in unknown_variables(os.environ):
        logger.warning(sentence)
    banner.show(configuration)


def _supervise(options: Options, lock: Lock, notifier: Notifier) -> tuple[int, str]:
    control = ControlServer(options.runtime_dir, {"ping": lambda _request: _identity(options)})
    supervisor = Supervisor(options, lock, control, notifier)
    supervisor.situation.serves = _serves
    try:
        code = supervisor.run()
    except ControlError as error:
        return EXIT_CONFIGURATION, str(error)
    except Exception:
        logger.exception("the supervisor failed; its workers finish their tasks and leave")
        return EXIT_SOFTWARE, ""
    # in the foreground the log has it already; the parent of a daemon shows it
    return code, supervisor.error_text if options.daemon else ""


def _serves(patterns: tuple[str, ...] | None, queue: str) -> bool:
    return patterns is None or filter_of(patterns).matches(queue)


def _identity(options: Options) -> dict[str, Any]:
    return {"pid": os.getpid(), "version": options.version, "settings": options.settings, "instance": options.instance}


def already_running(directory: Path) -> str:
    """Say who runs here: by asking, or by the pid file when there is no answer."""
    try:
        with Connection(directory, patience=1.0) as connection:
            owner = connection.ask("ping")
            who = f"pid {owner['pid']}, {owner['settings']}"
    except Exception:  # noqa: BLE001 - whatever it answers, the lock has decided
        who = f"pid {owner_pid(directory) or 'unknown'}, it does not answer"
    return f"bgtasksd ({who}) already runs here: `bgtasksd status`; a second one: `--instance NAME`"
