"""Daemons on the test database."""

from __future__ import annotations

import pytest

from tests.daemon import a_daemon


@pytest.fixture
def make_daemon(tmp_path, transactional_db):
    """A function that makes daemons; they are ended before the database is emptied."""
    from django.db import connection

    with a_daemon(tmp_path, connection.settings_dict["NAME"]) as make:
        yield make
