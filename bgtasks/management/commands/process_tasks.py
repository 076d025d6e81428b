"""`manage.py process_tasks`: one worker and the maintenance in the foreground, with the heritage's options."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bgtasks import output
from bgtasks.limits import Limits
from bgtasks.management.foreground import reloading, starting
from bgtasks.management.foreground.log_std import printed_to_log
from bgtasks.options import add_worker_arguments, concurrency_of, duration_of, log_file_of, queues_of, sleep_of

READERS = {
    "--queue": queues_of,
    "--concurrency": concurrency_of,
    "--sleep": sleep_of,
    "--duration": duration_of,
    "--log-file": log_file_of,
}
"""What raises ValueError for a wrong option."""
DAMAGED = 70
"""The process was left in a state that no task should start in."""


class Command(BaseCommand):
    help = "Run background tasks in this process until told to stop: one worker, with everything it needs."
    requires_system_checks: list[str] = []  # those that matter are run after the task modules are loaded

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_worker_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        _refuse_wrong_options(options)
        if options.get("dev") and not reloading.is_the_child():
            sys.exit(reloading.run_children())
        _set_up_logging(options)
        with printed_to_log() if options.get("log_std") else contextlib.nullcontext():
            reason = self.work(options)
        if reason == "damaged":
            raise CommandError("a task damaged this process beyond repair; see the log", returncode=DAMAGED)
        if reason == "reload":
            reloading.leave_for_successor()
        if getattr(self, "_called_from_command_line", False):
            _leave_threads_behind()

    def work(self, options: dict[str, Any]) -> str:
        """Run tasks; return why it ended."""
        starting.prepare()
        from bgtasks.management.foreground.process import Foreground  # costs time that a refused start need not spend

        queues, duration = queues_of(options), duration_of(options)
        process = Foreground(
            queues=queues,
            poll_interval=sleep_of(options),
            limits=Limits(duration=duration),
            concurrency=concurrency_of(options),
        )
        if options.get("dev"):
            reloading.watch(lambda: process.drain("reload"))
        starting.announce(queues, duration)
        reason = process.run()
        logging.getLogger("bgtasks.worker").info("left: %s", reason)
        return reason


def _refuse_wrong_options(options: dict[str, Any]) -> None:
    for flag, read in READERS.items():
        try:
            read(options)
        except ValueError as error:
            raise CommandError(f"{flag}: {error}", returncode=2) from error


def _set_up_logging(options: dict[str, Any]) -> None:
    if options.get("log_file") or options.get("log_level"):
        try:
            logging.basicConfig(filename=options.get("log_file"), level=options.get("log_level"))
        except OSError as error:  # what a look at the path does not tell
            raise CommandError(f"--log-file: {options['log_file']}: {error.strerror}", returncode=2) from error
        ours = logging.getLogger("bgtasks")
        if not options.get("log_level") and ours.level == logging.NOTSET:
            ours.setLevel(logging.INFO)  # a file without a line per task would look as if nothing ran
    output.attach_if_silent(["bgtasks"])


def _leave_threads_behind() -> None:
    """End the process here if tasks have left threads that would keep it from ending."""
    threads = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in threads):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(0)
