"""Daemons and foreground workers on the test database, with the tasks that use their context."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.lifecycle.conftest import make_daemon as make_plain_daemon
from tests.lifecycle.conftest import make_foreground as make_plain_foreground

__all__ = ["make_plain_daemon", "make_plain_foreground"]

MODULES = ["tests.context.tasks"]


@pytest.fixture
def make_daemon(make_plain_daemon: Any) -> Any:
    """A function that makes daemons which know these tasks."""
    return partial(make_plain_daemon, TASK_MODULES=MODULES)


@pytest.fixture
def make_foreground(make_plain_foreground: Any) -> Any:
    """A function that makes foreground workers which know these tasks."""
    return partial(make_plain_foreground, TASK_MODULES=MODULES)
