"""Daemons and foreground workers that look at the queue so seldom that a task which starts has woken somebody."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgtasks.waking import committing, sending
from tests.lifecycle.conftest import make_daemon, make_foreground
from tests.pooler import pooler
from tests.waiting import wait_until

__all__ = ["make_daemon", "make_foreground", "pooler"]

SELDOM = 120.0
"""Seconds between two looks: longer than any test waits."""
SLOW_MACHINE = 30.0


@pytest.fixture(autouse=True)
def nothing_told_yet():
    """Let other tests' notices and listings count for nothing."""
    sending.sender.forget()
    committing._notified.clear()
    committing._due.clear()


@pytest.fixture
def look_in(monkeypatch):
    """A function that tells the test process where sockets lie."""

    def tell(directory: Path) -> None:
        monkeypatch.setenv("BGTASKSD_RUNTIME_DIR", str(directory))
        sending.sender.forget()

    return tell


@pytest.fixture
def start_idle(make_daemon, look_in):
    """A function that starts a daemon whose workers have nothing to do, and will not look again by themselves."""

    def start(*, is_found: bool = True, through: int | None = None, **options):
        daemon = make_daemon(**{"SLEEP": SELDOM, **options})
        if through is not None:
            daemon.add_setting(f"DATABASES['default'].update(HOST='127.0.0.1', PORT={through})")
        look_in(daemon.runtime if is_found else daemon.directory / "nowhere")
        daemon.start()
        wait_until(lambda: are_idle(daemon), SLOW_MACHINE, "idle workers")
        return daemon

    return start


def are_idle(daemon) -> bool:
    """Tell whether every worker has looked at the queue and rests."""
    from bgtasks.models import WorkerProcess

    states = [worker["state"] for worker in daemon.status()["workers"]]
    return states == ["idle"] * daemon.workers and WorkerProcess.objects.count() >= daemon.workers
