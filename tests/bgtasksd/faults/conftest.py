"""Daemons on the test database, and the socket on which systemd would listen."""

from tests.lifecycle.conftest import make_daemon, systemd

__all__ = ["make_daemon", "systemd"]
