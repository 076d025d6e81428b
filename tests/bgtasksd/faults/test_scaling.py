"""F66: the number of workers changed while they work. It ends at what was ordered last, and cuts nobody."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest

from bgtasks.models import CompletedTask, TaskAttempt
from bgtasksd.connection import Connection
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def scale(daemon, workers, **more):
    """Give the order on the socket and return the answer."""
    with Connection(daemon.runtime) as connection:
        return connection.ask("scale", workers=workers, **more)


def numbers(daemon):
    """Return the numbers of the places that have a worker which is up."""
    return [each["slot"] for each in daemon.status()["workers"] if each["state"] in ("idle", "busy", "finishing")]


def test_f66_scale_makes_workers_and_sends_idle_ones_away_and_says_so(make_daemon):
    daemon = make_daemon(workers=2).start()
    first = daemon.worker_pids()
    said = daemon.command("scale", "5", "--wait")
    assert (said.returncode, said.stdout) == (0, "5 workers\n"), said
    assert said.stderr.startswith("workers 2 → 5\n")
    assert numbers(daemon) == [1, 2, 3, 4, 5]
    assert daemon.worker_pids()[:2] == first
    told = json.loads(daemon.command("scale", "--json", "-3").stdout)
    assert (told["workers_before"], told["workers_target"]) == (5, 2)
    assert daemon.command("scale", "+0", "--wait").returncode == 0
    assert daemon.worker_pids() == first, "the youngest left"
    assert daemon.log_lines(r"left: scale")
    assert daemon.status()["totals"]["crashed"] == 0
    for count in (5, 2):
        told = json.loads(daemon.command("scale", str(count), "--wait", "--json").stdout)  # one object, not its steps
        assert (told["is_over"], told["workers_target"]) == (True, count)
    daemon.baseline += 1  # the scoreboard has grown
    daemon.assert_converged()


def test_f66_scale_down_lets_the_busy_finish_and_scale_up_again_keeps_them(make_daemon):
    daemon = make_daemon(workers=3).start()
    for number in range(3):
        (daemon.directory / f"stand-{number}").touch()
        tasks.stand(number)
    wait_until(lambda: len(daemon.ledger("ran")) == 3, within=20)
    busy = daemon.worker_pids()
    scale(daemon, 0)
    assert [each["state"] for each in daemon.status()["workers"]] == ["draining"] * 3
    tasks.quick(7)
    scale(daemon, 2)
    assert daemon.status()["workers_target"] == 2
    for number in range(3):
        (daemon.directory / f"stand-{number}").unlink()
    wait_until(lambda: CompletedTask.objects.count() == 4, within=20)
    wait_until(lambda: len(daemon.status()["workers"]) == 2, within=20)
    assert daemon.worker_pids() == busy[:2]
    assert not TaskAttempt.objects.exists()
    daemon.workers = 2
    daemon.assert_converged()


def test_f66_scale_to_nothing_keeps_the_daemon_healthy_and_tasks_wait(make_daemon):
    daemon = make_daemon(workers=2).start()
    assert daemon.command("scale", "64", "--wait").stdout == "64 workers\n"
    assert numbers(daemon) == [*range(1, 65)]
    assert daemon.command("scale", "0", "--wait").returncode == 0
    tasks.quick()
    status = daemon.status()
    assert (status["workers_target"], status["workers"], status["state"]) == (0, [], "running")
    assert daemon.command("status").returncode == 0
    assert not daemon.ledger()
    assert daemon.command("scale", "1", "--wait").returncode == 0
    wait_until(lambda: CompletedTask.objects.count() == 1, within=20)
    daemon.workers = 1
    daemon.baseline += 4
    daemon.assert_converged()


def test_f66_scale_by_name_changes_the_workers_of_these_queues_alone(make_daemon):
    daemon = make_daemon(workers=3)
    daemon.start("--queue", "mail:1", "--queue", "*:2")
    said = daemon.command("scale", "mail=3", "--wait")
    assert said.stderr.startswith("mail 1 → 3   (workers 3 → 5)\n"), said
    assert [each["queues"] for each in daemon.status()["workers"]] == [["mail"], ["*"], ["*"], ["mail"], ["mail"]]
    refused = daemon.command("scale", "mial=2")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "did you mean 'mail'?" in refused.stderr
    assert "say which are meant" in daemon.command("scale", "4").stderr
    for wrong in (["many"], ["=3"], ["1", "2"]):
        assert daemon.command("scale", *wrong).returncode == 2
    assert "1,027 workers" in daemon.command("scale", "*=1024").stderr
    assert daemon.command("scale", "*=1", "mail=0", "--wait").returncode == 0
    assert [each["queues"] for each in daemon.status()["workers"]] == [["*"]]


def test_f66_a_storm_of_orders_and_signals_ends_at_the_last_and_cuts_no_task(make_daemon):
    daemon = make_daemon(workers=2).start()
    for number in range(60):
        tasks.nap(0.05, number)
    chosen = random.Random(66)
    for _ in range(60):
        os.kill(daemon.pid, chosen.choice([signal.SIGTTIN, signal.SIGTTOU]))
        scale(daemon, chosen.randint(0, 8))
    scale(daemon, 4)
    assert daemon.status()["workers_target"] == 4
    wait_until(lambda: CompletedTask.objects.count() == 60, within=60)
    assert len(daemon.ledger("started")) == len(daemon.ledger("ended")) == 60
    assert not TaskAttempt.objects.exists()
    daemon.workers = 4
    daemon.baseline += 2 * 3 + 2  # three for each worker, one each time the scoreboard has doubled
    daemon.assert_converged()
    os.kill(daemon.pid, signal.SIGTTIN)
    wait_until(lambda: daemon.status()["workers_target"] == 5 and daemon.ready_workers() == 5, within=20)
    assert not daemon.log_lines("died|ERROR|Traceback"), daemon.log
