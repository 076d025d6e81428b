"""A manager for all tests of this folder, and the service in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.daemon import a_daemon
from tests.systemd.manager import Manager, a_manager, why_not
from tests.systemd.service import Service


@pytest.fixture(scope="session")
def manager() -> Iterator[Manager]:
    """Return a running manager; where there cannot be one, the reason is printed."""
    reason = why_not()
    assert not (reason == "systemd is not installed" and os.environ.get("CI") == "true"), reason
    if reason:
        pytest.skip(reason)
    with a_manager() as running:
        yield running


@pytest.fixture
def service(tmp_path, transactional_db, manager) -> Iterator[Service]:
    """Return the daemon's service on the test database, as `install-systemd --user` writes it; not started."""
    from django.db import connection

    with a_daemon(tmp_path, connection.settings_dict["NAME"]) as make:
        service = Service(manager, make())
        try:
            service.install()
            yield service
        finally:
            service.close()
