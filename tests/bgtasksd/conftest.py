"""What tests of forking need of the process they share with the others."""

from __future__ import annotations

import pytest

from bgtasksd.children.fork import thread_count
from tests.waiting import wait_until


@pytest.fixture
def one_thread():
    """Wait until the kernel has parted with the threads that earlier tests joined: that comes a moment later."""
    wait_until(lambda: thread_count() == 1, within=20, what="a single thread")
