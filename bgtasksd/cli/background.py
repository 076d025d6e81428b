"""`bgtasksd start --daemon`: the parent waits until the daemon is ready or has failed, and says which."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from bgtasksd.children.fork import fork
from bgtasksd.cli.configuration import Configuration
from bgtasksd.cli.printing import fail, say
from bgtasksd.daemon import Report, context
from bgtasksd.exit_codes import EXIT_CONFIGURATION
from bgtasksd.systemd import Notifier

Live = Callable[[Configuration, Notifier], tuple[int, str]]


def run_in_background(configuration: Configuration, live: Live) -> int:
    """Start the daemon detached; return 0 when it is ready, else the code with which it ended."""
    options = configuration.options
    report = Report()
    try:
        output = Path(str(options.log_file)).open("a", encoding="utf-8")  # noqa: SIM115 - the daemon keeps it
    except OSError as error:
        return fail(EXIT_CONFIGURATION, "configuration", f"the log {options.log_file}: {error.strerror}")
    fork(lambda mask: _be_the_daemon(mask, configuration, live, output, report))
    code, text = report.listen()
    if code != 0:
        return fail(code, "start", text or f"it ended before it was ready; see {options.log_file}")
    say(f"bgtasksd runs in the background, pid {text}, log {options.log_file}")
    return 0


def _be_the_daemon(mask: set[Any], configuration: Configuration, live: Live, output: TextIO, report: Report) -> int:
    report.speak()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    with context(output, report):
        output.close()  # it is stdout and stderr now; a third descriptor would keep a log that was moved away
        notifier = Notifier.from_environment(os.environ)
        notifier.call_when_ready(lambda: report.tell(0, str(os.getpid())), report.fileno())
        code, text = live(configuration, notifier)
        report.tell(code, text)
    return code
