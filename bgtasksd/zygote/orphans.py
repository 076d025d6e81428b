"""The dead man's switch: workers whose supervisor is gone finish, are interrupted, and at last killed."""

from __future__ import annotations

import os
import selectors
import signal
import time

from bgtasksd.children.process import Process
from bgtasksd.scoreboard import Page, Reason


class Orphans:
    """The workers of a supervisor, held by pidfd; they are nobody's children here."""

    def __init__(self, selector: selectors.BaseSelector, timeout: float) -> None:
        self.selector = selector
        self.timeout = timeout
        self.workers: dict[int, tuple[Process, Page]] = {}

    def watch(self, pid: int, pidfd: int, page: Page) -> None:
        """Hold a worker, to end it should the supervisor die."""
        self.workers[pidfd] = (Process(pid, pidfd), page)
        self.selector.register(pidfd, selectors.EVENT_READ)

    def forget(self, pidfd: int) -> None:
        """Let go of a worker that has ended."""
        self.selector.unregister(pidfd)
        del self.workers[pidfd]
        os.close(pidfd)

    def descriptors(self) -> list[int]:
        """Return what a forked child closes."""
        return list(self.workers)

    def end(self) -> None:
        """Tell all to finish; interrupt at two thirds of the time, kill at its end."""
        started = time.monotonic()
        self._signal(signal.SIGTERM)
        self._wait_until(started + self.timeout * 2 / 3)
        for _process, page in self.workers.values():
            for task in page.tasks():
                page.give_order(task.sequence, Reason.STOP)
        self._signal(signal.SIGUSR1)
        self._wait_until(started + self.timeout)
        for process, _page in self.workers.values():
            process.kill_group()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process, _page in self.workers.values():
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)

    def _wait_until(self, deadline: float) -> None:
        while self.workers and time.monotonic() < deadline:
            for key, _mask in self.selector.select(deadline - time.monotonic()):
                self.forget(key.fd)
