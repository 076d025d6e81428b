"""Asking systemd for more time, heard at the socket that the daemon takes for systemd's."""

from __future__ import annotations

import signal

import pytest

from tests.daemon import a_daemon
from tests.lifecycle import tasks
from tests.notices import Notices
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


@pytest.fixture
def notices(tmp_path):
    listening = Notices(tmp_path / "notify")
    yield listening
    listening.close()


def test_more_time_to_stop_is_asked_for_at_once_also_just_after_the_start(tmp_path, transactional_db, notices) -> None:
    from django.db import connection

    with a_daemon(tmp_path, connection.settings_dict["NAME"]) as make:
        daemon = make()
        daemon.variables["NOTIFY_SOCKET"] = str(notices.path)
        obstacle = daemon.directory / "stand-1"
        obstacle.touch()
        tasks.stand.enqueue(1)
        daemon.start()
        daemon.busy_worker("stand")
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "STOPPING=1" in said(notices), 20, daemon.log)
        wait_until(lambda: "STATUS=stopping: 1 worker left" in said(notices), 20, daemon.log)
        obstacle.unlink()
        assert daemon.wait_for_end() == 0
    lines = said(notices)
    stopping = lines.index("STOPPING=1")
    assert lines[0].startswith("EXTEND_TIMEOUT_USEC="), "the start takes its time, too"
    assert [line.partition("=")[0] for line in lines[stopping : stopping + 3]] == [
        *("STOPPING", "STATUS", "EXTEND_TIMEOUT_USEC")
    ]


def said(notices: Notices) -> list[str]:
    return [line for _, line in notices.lines]
