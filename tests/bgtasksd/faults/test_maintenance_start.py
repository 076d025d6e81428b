"""Where maintenance comes from: out of the zygote when that is there, bare when it is not, and always soon."""

from __future__ import annotations

import os
import signal

import pytest

from bgtasks.models import CompletedTask
from bgtasksd.children.process import unshared_bytes
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

LITTLE = 20 * 2**20
"""Bytes: less than Django alone takes, more than a process that shares it has of its own."""


def next_maintenance(daemon, before=None):
    """Return the pid of maintenance that is up, once it is another process than `before`."""

    def found():
        seen = daemon.status()["maintenance"]
        return seen["state"] == "running" and seen["pid"] != before and seen["pid"]

    return wait_until(found, within=SLOW_MACHINE)


def shares_the_application(pid):
    return unshared_bytes(pid) < LITTLE


def assert_it_releases(daemon):
    """Kill a worker in a task: what it held has to be released."""
    task = tasks.hang_once(1)
    wait_until(lambda: daemon.ledger("started"), within=SLOW_MACHINE)
    os.kill(daemon.worker_pids()[0], signal.SIGKILL)
    done = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), within=SLOW_MACHINE)
    assert (done.attempts, done.crashes) == (2, 1)
    daemon.assert_converged()


def test_killed_it_comes_out_of_the_zygote_again_whose_memory_it_shares(make_daemon):
    daemon = make_daemon(workers=1).start()
    first = next_maintenance(daemon)
    os.kill(first, signal.SIGKILL)
    assert shares_the_application(next_maintenance(daemon, first))
    assert_it_releases(daemon)


def test_killed_again_and_again_it_starts_bare(make_daemon):
    daemon = make_daemon(workers=1).start()
    pid, kills = next_maintenance(daemon), 0
    while shares_the_application(pid):
        assert kills < 5
        os.kill(pid, signal.SIGKILL)
        pid, kills = next_maintenance(daemon, pid), kills + 1
    assert_it_releases(daemon)


def test_without_preloading_maintenance_loads_django_by_itself(make_daemon):
    daemon = make_daemon(workers=1, PRELOAD="none").start()
    assert not shares_the_application(next_maintenance(daemon))
    assert_it_releases(daemon)


def test_killed_together_with_the_zygote_both_come_back(make_daemon):
    daemon = make_daemon(workers=1).start()
    pid = next_maintenance(daemon)
    os.kill(daemon.status()["zygote"]["pid"], signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    next_maintenance(daemon, pid)
    assert_it_releases(daemon)


def test_a_zygote_that_stands_still_when_it_is_asked_for_maintenance_is_ended_and_costs_no_more(make_daemon):
    daemon = make_daemon(workers=1).start()
    pid, zygote = next_maintenance(daemon), daemon.status()["zygote"]["pid"]
    os.kill(zygote, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    next_maintenance(daemon, pid)  # ten seconds: so long a zygote may take for an answer
    assert daemon.log_lines("zygote pid .* is silent")
    assert_it_releases(daemon)


def test_a_reload_brings_maintenance_out_of_the_new_zygote(make_daemon):
    daemon = make_daemon(workers=1).start()
    before = next_maintenance(daemon)
    daemon.command("reload", "--wait")
    after = next_maintenance(daemon, before)
    assert shares_the_application(after)
    assert_it_releases(daemon)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_stop_while_processes_come_into_being_leaves_none_behind(make_daemon, processes):
    daemon = make_daemon(workers=1)
    daemon.start(is_awaited=False)
    wait_until(lambda: len(daemon.processes()) >= processes, within=SLOW_MACHINE)
    daemon.end()
    wait_until(daemon.is_swept, within=SLOW_MACHINE)
