"""`bgtasksd start`: everything before the loop, in the order that leaves nothing behind when it fails."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from pathlib import Path

from bgtasksd.children.linux import has_process_handles
from bgtasksd.cli import banner
from bgtasksd.cli.arguments import add_options
from bgtasksd.cli.configuration import Configuration, Unusable, configure
from bgtasksd.cli.printing import complain, fail, say, say_json
from bgtasksd.cli.supervising import Beginning, open_log, resume, supervise
from bgtasksd.cli.values import unknown_variables
from bgtasksd.connection import Connection
from bgtasksd.exit_codes import EXIT_CONFIGURATION, EXIT_RUNNING
from bgtasksd.lock import PATIENCE, Lock, LockHeld, is_free_within, owner_pid
from bgtasksd.option_table import TABLE
from bgtasksd.supervisor.handover import VARIABLE
from bgtasksd.systemd import Notifier

EXAMPLES = """examples:
  bgtasksd start --workers 4 --max-age 1h --max-memory 300M
  bgtasksd start --queue mail:2 --queue '*:2' --settings mysite.settings
  bgtasksd start --daemon --log-file /var/log/bgtasksd.log

Every option can also be given as an environment variable (--max-age: BGTASKSD_MAX_AGE), and most of them in the
settings (BGTASKS = {"MAX_AGE": "1h"}). The command line wins, then the environment, then the settings."""
UMASK = 0o027
UNFIT = (
    "this system has no pidfd_open: bgtasksd needs Linux 5.3 or newer, and a container that allows the call;"
    " `python manage.py process_tasks` runs anywhere"
)

logger = logging.getLogger("bgtasksd")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_options(parser, *(option.name for option in TABLE if option.name not in ("instance", "runtime_dir")))
    parser.add_argument("--check-config", action="store_true", help="show what would be used, start nothing")


def run(typed: argparse.Namespace) -> int:
    """Start a daemon, or with --check-config only say how it would start."""
    if handed := os.environ.pop(VARIABLE, ""):
        return resume(typed, handed)
    if not has_process_handles():
        return fail(EXIT_CONFIGURATION, "unfit_system", UNFIT, is_json=typed.json)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the loop runs there is nothing to clean up
    try:
        configuration = configure(typed, os.environ)
    except Unusable as error:
        return fail(error.exit_code, "configuration", str(error), is_json=typed.json)
    if typed.check_config:
        return _show(configuration, is_json=typed.json)
    os.umask(UMASK)
    if configuration.options.daemon:
        return _run_in_background(configuration, is_json=typed.json)
    code, text = live(configuration, Notifier.from_environment())
    return fail(code, "start", text, is_json=typed.json) if text else code


def _run_in_background(configuration: Configuration, *, is_json: bool) -> int:
    directory = Path(configuration.options.runtime_dir)
    if _is_taken(directory):  # the daemon would find that as well, but have opened a log for it
        return fail(EXIT_RUNNING, "start", already_running(directory), is_json=is_json)
    from bgtasksd.cli.background import run_in_background  # python-daemon, which the foreground never needs

    return run_in_background(configuration, live)


def _is_taken(directory: Path) -> bool:
    try:
        return not is_free_within(directory, PATIENCE)
    except OSError:  # the daemon will say what is wrong with the lock
        return False


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
        beginning = Beginning(options, configuration.origin, configuration.database_identity)
        return supervise(beginning, lock, notifier)
    finally:
        lock.release()


def _log(configuration: Configuration) -> None:
    is_explicit = any(configuration.sources[name] != "default" for name in ("log_file", "log_format"))
    open_log(configuration.options, is_explicit=is_explicit)
    for sentence in unknown_variables(os.environ):
        logger.warning(sentence)
    banner.show(configuration)


def already_running(directory: Path) -> str:
    """Say who runs here: by asking, or by the pid file when there is no answer."""
    try:
        with Connection(directory, patience=1.0) as connection:
            owner = connection.ask("ping")
            who = f"pid {owner['pid']}, {owner['settings']}"
    except Exception:  # noqa: BLE001 - whatever it answers, the lock has decided
        who = f"pid {owner_pid(directory) or 'unknown'}, it does not answer"
    return f"bgtasksd ({who}) already runs here: `bgtasksd status`; a second one: `--instance NAME`"
