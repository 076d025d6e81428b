"""F72, F82: the time of day is set, of a host or of the database, while tasks run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from django.db import connection

from bgtasks.models import CompletedTask, Task, TaskAttempt
from tests.clocks import FakedClock
from tests.daemon import SLOW_MACHINE, Daemon, a_daemon
from tests.hosts import need_hosts, on_host
from tests.invariants.processes import broken_in_notices
from tests.lifecycle import tasks
from tests.notices import Notices
from tests.servers import a_server, is_installed
from tests.settings import VENDOR
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
WATCHDOG = 5


@pytest.fixture
def clock():
    """A clock whose file any user may read."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield FakedClock(Path(directory) / "clock")


@pytest.fixture
def notices(tmp_path):
    made = Notices(tmp_path / "notify")
    yield made
    made.close()


@pytest.mark.skipif(VENDOR != "postgres", reason="a host's clock means the same to every server; a file has no other")
def test_f72_setting_a_hosts_clock_changes_no_timeout_no_age_no_lease_and_no_watchdog(make_daemon, clock, notices):
    daemon = make_daemon(workers=3, LEASE=4, MAX_AGE=3600, BACKOFF=60)
    daemon.variables.update(clock.variables(), WATCHDOG_USEC=str(WATCHDOG * 1_000_000))
    daemon.variables["NOTIFY_SOCKET"] = str(notices.path)
    daemon.start()
    pids = daemon.worker_pids()
    long, limited = tasks.wait(12.0, 1), tasks.wait.using(max_run_time=10).enqueue(60.0, 2)
    wait_until(lambda: len(daemon.ledger("started")) == 2, within=SLOW_MACHINE)
    for offset in ("+1d", "-1d", "+3600", "+0.5", "-3600", "+0"):
        clock.set(offset)
        time.sleep(1.5)  # so that everybody looks at it
        assert daemon.status()["state"] == "running"
    ended_as_if_nothing_had_been(daemon, long, limited)
    assert daemon.worker_pids() == pids
    assert not broken_in_notices(notices.taken(), WATCHDOG)
    daemon.assert_converged()


def ended_as_if_nothing_had_been(daemon, long, limited):
    """Check that one task was interrupted at its limit, and that the other, and one more, ended well."""
    wait_until(lambda: TaskAttempt.objects.filter(task_id=limited.pk).exists(), within=SLOW_MACHINE)
    (begun,) = (entry for entry in daemon.ledger("started") if entry["number"] == 2)
    (interrupted,) = daemon.ledger("interrupted")
    assert interrupted["error"] == "TaskTimeout"
    assert 9.5 < interrupted["at"] - begun["at"] < 16
    after = tasks.quick(3)
    wait_until(lambda: CompletedTask.objects.filter(pk__in=(long.pk, after.pk)).count() == 2, within=SLOW_MACHINE)
    assert not TaskAttempt.objects.filter(crashed=True).exists()


@contextlib.contextmanager
def our_own_server(tmp_path, clock):
    """Give a database server that goes by this clock, and have the test itself use it."""
    with a_server(VENDOR, tmp_path, clock.variables()) as server:
        Daemon.not_adopted.add(server.process.pid)
        settings, variables = connection.settings_dict, server.variables()
        before = {name: settings[name] for name in ("NAME", "HOST", "PORT")}
        connection.close()
        settings.update(NAME=server.name, HOST="127.0.0.1", PORT=str(server.port))
        try:
            yield server, variables
        finally:
            connection.close()
            settings.update(before)


@pytest.mark.soak  # in the usual tests: tests/contract/test_releases.py and tests/bgtasks/test_contact.py
@pytest.mark.skipif(VENDOR == "sqlite", reason="its clock is that of the host")
@pytest.mark.skipif(not is_installed(VENDOR), reason="the programs to make a server of are not here")
def test_f82_when_the_databases_clock_is_set_all_renew_and_nothing_is_reclaimed(transactional_db, tmp_path, clock):
    need_hosts()
    with our_own_server(tmp_path, clock) as (server, variables), a_daemon(tmp_path, server.name, LEASE=3) as make:
        daemons = [on_host(make(name, workers=2), host) for name, host in (("one", "alpha"), ("two", "beta"))]
        for daemon in daemons:
            daemon.variables.update(variables)
        migrate = [sys.executable, "-m", "django", "migrate", "-v0"]
        subprocess.run(migrate, env=daemons[0].environment(), cwd=daemons[0].directory, check=True)
        set_the_clock_while_both_are_busy(clock, [daemon.start() for daemon in daemons])
        for daemon in daemons:
            daemon.assert_converged()


def set_the_clock_while_both_are_busy(clock, daemons):
    for number in range(4):
        tasks.nap(15.0, number)
    wait_until(lambda: sum(len(daemon.ledger("started")) for daemon in daemons) == 4, within=SLOW_MACHINE)
    time.sleep(3.5)  # a lease of unbroken contact: now they might take from each other
    for offset in ("+3600", "+7200", "+10800", "-3600"):
        clock.set(offset)
        wait_until(lambda: not Task.objects.filter(locked_until__lt=database_now()).exists(), within=SLOW_MACHINE)
        time.sleep(2)
    wait_until(lambda: CompletedTask.objects.count() == 4, within=SLOW_MACHINE)
    assert not TaskAttempt.objects.exists()
    assert sum(len(daemon.ledger("started")) for daemon in daemons) == 4


def database_now():
    from bgtasks.queue import claims

    return claims.database_now()
