"""Daemons and foreground workers on the test database, and the socket on which systemd would listen."""

from __future__ import annotations

import socket

import pytest

from tests.daemon import a_daemon
from tests.foreground import foregrounds


@pytest.fixture
def make_daemon(tmp_path, transactional_db):
    """A function that makes daemons; they are ended before the database is emptied."""
    from django.db import connection

    with a_daemon(tmp_path, connection.settings_dict["NAME"]) as make:
        yield make


@pytest.fixture
def make_foreground(tmp_path, transactional_db):
    """A function that makes foreground workers; they are ended before the database is emptied."""
    from django.db import connection

    with foregrounds(tmp_path, connection.settings_dict["NAME"]) as make:
        yield make


@pytest.fixture
def systemd(tmp_path):
    """Stand for systemd: a datagram socket, and what has arrived on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0)
        heard: list[str] = []

        def listen() -> list[str]:
            while True:
                try:
                    heard.extend(listening.recv(4096).decode().split("\n"))
                except BlockingIOError:
                    return heard

        yield str(tmp_path / "notify"), listen
