"""Daemons on the test database."""

from tests.lifecycle.conftest import make_daemon

__all__ = ["make_daemon"]
