"""F68, F69: the database is away at the start, or goes away under load."""

from __future__ import annotations

import re
import time

import pytest

from bgtasks.models import CompletedTask, TaskAttempt
from tests.hosts import behind, new_proxy
from tests.lifecycle import tasks
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(VENDOR == "sqlite", reason="a file does not go away and come back"),
]


@pytest.fixture
def proxy(transactional_db):
    """A proxy in front of the test database that is not open yet."""
    proxy = new_proxy()
    yield proxy
    proxy.close()


def test_f68_a_database_that_is_down_at_the_start_is_waited_for(make_daemon, proxy):
    daemon = behind(proxy, make_daemon(workers=2)).start(is_awaited=False)
    wait_until(lambda: daemon.log_lines("ready, 2 workers up"), within=20)
    wait_until(lambda: daemon.status()["database"]["reachable"] is False, within=20)
    pids = daemon.worker_pids()
    task = tasks.quick(1)
    proxy.open()
    opened_at = time.monotonic()
    wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).exists(), within=20)
    assert time.monotonic() - opened_at < 12
    wait_until(lambda: daemon.status()["database"]["reachable"], within=20)
    assert daemon.worker_pids() == pids
    assert not daemon.log_lines(" died")


def test_f69_outcomes_reached_while_the_database_is_away_are_written_when_it_is_back(make_daemon, proxy):
    proxy.open()
    daemon = behind(proxy, make_daemon(workers=3)).start()
    pids = daemon.worker_pids()
    for round_ in range(4):
        for number in range(6):
            tasks.nap(0.2, number=10 * round_ + number)
        wait_until(lambda round_=round_: any(each["number"] >= 10 * round_ for each in daemon.ledger("started")))
        proxy.cut()
        time.sleep(0.7)  # long enough for tasks to end with nobody to tell it to
        proxy.open()
        wait_until(lambda round_=round_: CompletedTask.objects.count() == 6 * (round_ + 1), within=40)
    ran = [each["number"] for each in daemon.ledger("ended")]
    assert sorted(ran) == sorted(10 * round_ + number for round_ in range(4) for number in range(6))
    assert not TaskAttempt.objects.exists()
    assert daemon.worker_pids() == pids
    assert not daemon.log_lines("a callback of the supervisor failed")
    daemon.assert_converged()


def test_a_reload_while_the_database_is_away_says_so_in_one_line(make_daemon, proxy):
    proxy.open()
    daemon = behind(proxy, make_daemon(workers=1)).start()
    proxy.cut()
    refused = daemon.command("reload", "--wait", "--timeout", "60")
    assert refused.returncode == 1, refused.stderr
    said = refused.stderr.splitlines()[-1]
    assert re.match(r"bgtasksd: (the database cannot be reached|database 'default' cannot be asked .*): ", said), said
    assert "Traceback" not in refused.stderr
    assert str(proxy.port) in said or "refused" in said or "127.0.0.1" in said
    (failed,) = [each for each in daemon.status()["problems"] if each["code"] == "reload_failed"]
    assert failed["message"].endswith(said.removeprefix("bgtasksd: "))
    assert len(daemon.log_lines(re.escape(f"generation 1 goes on: {said.removeprefix('bgtasksd: ')}"))) == 1
    proxy.open()
    assert daemon.command("reload", "--wait", "--timeout", "60").returncode == 0
    daemon.assert_converged()
