"""What tests of forking need of the process they share with the others, and a supervisor that has started nothing."""

from __future__ import annotations

import os

import pytest

from bgtasksd.children.fork import thread_count
from bgtasksd.options import Options
from bgtasksd.supervisor.making import make_situation
from tests.waiting import wait_until


@pytest.fixture
def one_thread():
    """Wait until the kernel has parted with the threads that earlier tests joined: that comes a moment later."""
    wait_until(lambda: thread_count() == 1, within=20, what="a single thread")


@pytest.fixture
def situation(tmp_path):
    """A supervisor's situation in which nothing was started."""
    situation = make_situation(Options(settings="none", root=str(tmp_path), runtime_dir=str(tmp_path), workers=1))
    yield situation
    situation.loop.selector.close()
    for descriptor in (*situation.loop._wakeup, situation.board.descriptor):
        os.close(descriptor)
    for link in (situation.zygote, situation.maintenance):
        os.close(link.dump)
