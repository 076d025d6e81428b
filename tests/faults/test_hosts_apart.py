"""F71, F75, F81: hosts that lose the database, together or alone, and a host that dies as a whole."""

from __future__ import annotations

import random
import signal
import time

import pytest

from bgtasks.models import CompletedTask, Task, TaskAttempt
from tests.daemon import SLOW_MACHINE
from tests.hosts import behind, need_hosts, on_host, proxy, settled
from tests.lifecycle import tasks
from tests.settings import VENDOR
from tests.waiting import wait_until

__all__ = ["proxy"]
pytestmark = pytest.mark.processes
needs_server = pytest.mark.skipif(VENDOR == "sqlite", reason="a file does not go away and come back")

LEASE, LIMIT = 3, 5


def started(daemon, task_number):
    return [entry for entry in daemon.ledger("started") if entry["number"] == task_number]


def outages(usual):
    """Both ways of being cut off; the one that is not usual only in the soak."""
    other = {"cut": "silence", "silence": "cut"}[usual]
    return pytest.mark.parametrize("outage", [usual, pytest.param(other, marks=pytest.mark.soak)])


@needs_server
@outages("silence" if VENDOR == "postgres" else "cut")
def test_f71_what_a_cut_off_host_runs_is_taken_after_its_lease_and_it_gives_way_when_it_is_back(
    make_daemon, proxy, outage
):
    need_hosts()
    one = on_host(behind(proxy, make_daemon("one", workers=2, LEASE=LEASE)), "alpha").start()
    two = on_host(make_daemon("two", workers=2, LEASE=LEASE), "beta")
    two.ledger_file = one.ledger_file  # a second run of what hangs once ends at once, wherever it is
    lost = tasks.hang_once(1)
    wait_until(lambda: started(one, 1), within=SLOW_MACHINE)
    two.start("--queue", "default")
    limited = tasks.hang.using(max_run_time=LIMIT, queue="of the first").enqueue(2)
    wait_until(lambda: started(one, 2), within=SLOW_MACHINE)
    getattr(proxy, outage)()
    taken_after_their_leases({row.pk: row.locked_until for row in Task.objects.all()})
    wait_until(lambda: CompletedTask.objects.filter(pk=lost.pk).exists(), within=SLOW_MACHINE)
    interrupted_without_the_database(one, started(one, 2)[0])
    proxy.open()
    wait_until(lambda: one.log_lines(rf"task {lost.pk} .*claim_lost") and one.is_ready, within=SLOW_MACHINE)
    assert settled(lost) == {"status": "SUCCESSFUL", "attempts": 2, "crashes": 1, "errors": ["WorkerDied"]}
    assert settled(limited)["errors"][0] == "WorkerDied"  # the timeout of the cut-off host was not written
    assert len(started(one, 1)) == 2
    one.assert_converged()
    two.end(signal.SIGQUIT)


def taken_after_their_leases(leases):
    """Wait until the other host has taken both tasks; by the database's clock not before their leases were over."""
    wait_until(lambda: TaskAttempt.objects.count() == 2, within=SLOW_MACHINE)
    for attempt in TaskAttempt.objects.all():
        assert attempt.finished_at >= leases[attempt.task_id]
        assert attempt.crashed
        assert "alpha:default" in attempt.worker


def interrupted_without_the_database(daemon, run):
    """Wait until the first run of the limited task has been interrupted at its limit."""
    mine = wait_until(
        lambda: [each for each in daemon.ledger("interrupted") if each["pid"] == run["pid"]], within=SLOW_MACHINE
    )
    assert mine[0]["error"] == "TaskTimeout"
    assert LIMIT - 0.5 < mine[0]["at"] - run["at"] < LIMIT + 6


def outage_of_two_hosts(hosts, proxy, chance, leases):
    """Have both busy while the database is away for so many leases; check what must hold."""
    before = CompletedTask.objects.count()
    length = leases * LEASE + 3
    numbers = [before + number for number in range(4)]
    for number in numbers:
        tasks.nap(length, number)
    wait_until(lambda: all(any(started(host, number) for host in hosts) for number in numbers), within=SLOW_MACHINE)
    getattr(proxy, chance.choice(["cut", "silence"]))()
    time.sleep(leases * LEASE)
    if leases > 1:
        for host in hosts:
            status = host.status()
            assert status["state"] == "degraded", status["problems"]
            assert "renewal_late" in [problem["code"] for problem in status["problems"]]
    proxy.open()
    wait_until(lambda: CompletedTask.objects.count() == before + 4, within=SLOW_MACHINE)
    for number in numbers:
        assert sum(len(started(host, number)) for host in hosts) == 1, number
    assert not TaskAttempt.objects.exists()
    assert set(CompletedTask.objects.values_list("attempts", "crashes")) == {(1, 0)}
    wait_until(lambda: all(host.status()["state"] == "running" for host in hosts), within=SLOW_MACHINE)


def two_hosts(make_daemon, proxy):
    need_hosts()
    hosts = [
        on_host(behind(proxy, make_daemon(name, workers=2, LEASE=LEASE)), host)
        for name, host in (("one", "alpha"), ("two", "beta"))
    ]
    return [host.start() for host in hosts]


@pytest.mark.skipif(VENDOR != "postgres", reason="what decides is the same everywhere; make soak runs more of it")
def test_f75_after_an_outage_every_living_host_renews_before_anyone_reclaims(make_daemon, proxy):
    hosts = two_hosts(make_daemon, proxy)
    outage_of_two_hosts(hosts, proxy, random.Random(1), leases=3)
    for host in hosts:
        host.assert_converged()


@pytest.mark.soak
@pytest.mark.timeout(1800)
@needs_server
def test_f75_twenty_outages_of_any_length(make_daemon, proxy):
    hosts, chance = two_hosts(make_daemon, proxy), random.Random(75)
    for _ in range(20):
        outage_of_two_hosts(hosts, proxy, chance, leases=chance.choice([0.5, 1, 1.5, 3]))
    for host in hosts:
        host.assert_converged()


def test_f81_a_dead_hosts_tasks_are_released_at_once_when_it_starts_again(make_daemon):
    need_hosts()
    one, two, held, leases = a_dead_host_and_another(make_daemon, lease=60)
    one.start()
    released_once(one, held, "is gone")
    assert all(each.finished_at < leases[each.task_id] for each in TaskAttempt.objects.all())
    for daemon in (one, two):
        daemon.assert_converged()


@pytest.mark.skipif(VENDOR != "postgres", reason="a file is on one host, and one server is enough")
def test_f81_a_dead_hosts_tasks_are_taken_after_its_lease_and_not_again_when_it_starts(make_daemon):
    need_hosts()
    one, two, held, leases = a_dead_host_and_another(make_daemon, lease=LEASE)
    released_once(two, held, "for a whole lease")
    assert all(each.finished_at >= leases[each.task_id] for each in TaskAttempt.objects.all())
    one.start()
    for daemon in (one, two):
        daemon.assert_converged()
    assert TaskAttempt.objects.count() == 2


def a_dead_host_and_another(make_daemon, lease):
    """Kill a host in the middle of two tasks; return it, the other one, the tasks and the ends of their leases."""
    one = on_host(make_daemon("one", workers=2, LEASE=lease), "alpha").start()
    two = on_host(make_daemon("two", workers=1, LEASE=lease), "beta")
    two.ledger_file = one.ledger_file
    held = [tasks.hang_once(1), tasks.hang_once(2)]
    wait_until(lambda: started(one, 1) and started(one, 2), within=SLOW_MACHINE)
    two.start()
    leases = {row.pk: row.locked_until for row in Task.objects.all()}
    one.kill_all()
    one.wait_for_end()
    return one, two, held, leases


def released_once(daemon, held, reason):
    wait_until(lambda: CompletedTask.objects.count() == 2, within=SLOW_MACHINE)
    for task in held:
        assert settled(task) == {"status": "SUCCESSFUL", "attempts": 2, "crashes": 1, "errors": ["WorkerDied"]}
    assert len(daemon.ledger("started")) == 4
    assert all(reason in attempt.error for attempt in TaskAttempt.objects.all())
