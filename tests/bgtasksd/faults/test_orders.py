"""Orders to a running daemon: drain a host, replace workers, kill one. Each can be given again, and none is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bgtasks.models import CompletedTask, Task, TaskAttempt
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def client(daemon, *arguments):
    """Start a client that goes on while the test does something else."""
    return subprocess.Popen(
        [sys.executable, "-m", "bgtasksd", *arguments, "--runtime-dir", str(daemon.runtime)],
        env=daemon.environment(), cwd=daemon.directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def standing(daemon, *numbers):
    """Have a task for each number run until its file is removed; return the files."""
    files = [daemon.directory / f"stand-{number}" for number in numbers]
    for number, file in zip(numbers, files, strict=True):
        file.touch()
        tasks.stand(number)
    wait_until(lambda: {each["number"] for each in daemon.ledger("ran")} >= set(numbers), within=20)
    return files


# -- drain


def test_a_host_drains_by_finishing_what_runs_and_counts_down(make_daemon):
    daemon = make_daemon(workers=2).start()
    first, second = standing(daemon, 1, 2)
    draining = client(daemon, "drain")
    wait_until(lambda: daemon.status()["state"] == "draining", within=20)
    tasks.quick()
    assert daemon.command("drain", "--no-wait").stdout == "2 tasks running…\n"
    first.unlink()
    second.unlink()
    told, counted = draining.communicate(timeout=60)
    assert (draining.returncode, told) == (0, "drained; no task starts here until: bgtasksd drain --undo\n")
    assert counted.splitlines()[0] == "2 tasks running…"
    assert counted.splitlines()[-1] == "0 tasks running…"
    assert not Task.objects.filter(locked_by__isnull=False).exists()
    assert (CompletedTask.objects.count(), len(daemon.ledger("ran"))) == (2, 2)
    assert daemon.status()["state"] == "draining"


def test_a_drained_host_starts_nothing_by_new_workers_either_until_it_is_told_to_go_on(make_daemon):
    daemon = make_daemon(workers=2).start()
    pids = daemon.worker_pids()
    assert daemon.command("drain").returncode == 0
    for number in range(5):
        tasks.quick(number)
    daemon.end_worker(1)
    wait_until(lambda: daemon.ready_workers() == 2, within=20)
    assert json.loads(daemon.command("drain", "--json").stdout.splitlines()[-1]) == {"is_over": True, "exits": False}
    assert not daemon.ledger("ran")
    assert daemon.worker_pids()[1] == pids[1]
    assert daemon.command("status").returncode == 0
    assert daemon.command("healthcheck", "--ready").returncode == 1
    assert daemon.command("check").returncode == 1
    undone = daemon.command("drain", "--undo")
    assert (undone.returncode, undone.stdout) == (0, "tasks are started again\n")
    wait_until(lambda: CompletedTask.objects.count() == 5, within=20)
    assert daemon.command("drain", "--undo").stdout == "it was not draining\n"
    daemon.assert_converged()


def test_what_was_claimed_and_not_started_is_given_back_by_a_drain(make_daemon):
    daemon = make_daemon(workers=1).start()
    for number in range(20):
        tasks.quick(number)
    wait_until(lambda: CompletedTask.objects.count() == 20, within=20)
    (daemon.directory / "stand-100").touch()
    for number in range(100, 110):
        tasks.stand(number)
    wait_until(lambda: any(each["number"] == 100 for each in daemon.ledger("ran")), within=20)
    daemon.command("drain", "--no-wait")
    (daemon.directory / "stand-100").unlink()
    drained = daemon.command("drain")
    assert drained.returncode == 0
    assert not Task.objects.filter(locked_by__isnull=False).exists()
    assert CompletedTask.objects.count() + Task.objects.count() == 30
    assert len(daemon.ledger("ran")) == CompletedTask.objects.count(), "nothing was cut"
    daemon.command("drain", "--undo")
    wait_until(lambda: CompletedTask.objects.count() == 30, within=20)
    assert len(daemon.ledger("ran")) == 30
    assert not TaskAttempt.objects.exists()


def test_drain_exit_ends_the_daemon_when_the_last_task_is_over_and_undone_it_does_not(make_daemon):
    daemon = make_daemon(workers=2).start()
    (file,) = standing(daemon, 1)
    gone = client(daemon, "drain", "--exit")
    wait_until(lambda: daemon.status()["state"] == "draining", within=20)
    assert daemon.command("drain", "--undo").returncode == 0
    assert gone.wait(60) == 1
    gone.communicate()
    gone = client(daemon, "drain", "--exit", "--json")
    wait_until(lambda: daemon.status()["state"] == "draining", within=20)
    tasks.quick()
    file.unlink()
    told, _ = gone.communicate(timeout=60)
    assert gone.returncode == 0
    assert json.loads(told.splitlines()[-1]) == {"is_over": True, "exits": True}
    assert daemon.wait_for_end() == 0
    assert Task.objects.get().attempts == 0
    assert CompletedTask.objects.count() == 1


# -- retire and kill


def test_retire_replaces_workers_after_their_task_and_names_the_new_ones(make_daemon):
    daemon = make_daemon(workers=3).start()
    (file,) = standing(daemon, 1)
    busy = daemon.busy_worker("stand")
    before = {each["slot"]: each["pid"] for each in daemon.status()["workers"]}
    retiring = client(daemon, "retire", "--wait")
    others = [slot for slot in before if slot != busy["slot"]]
    wait_until(lambda: not {before[slot] for slot in others} & set(daemon.worker_pids()), within=20)
    assert daemon.worker(busy["slot"])["pid"] == busy["pid"], "it finishes"
    file.unlink()
    told, _ = retiring.communicate(timeout=60)
    assert retiring.returncode == 0
    after = {each["slot"]: each["pid"] for each in daemon.status()["workers"]}
    assert told.splitlines() == [
        f"slot {slot}: pid {before[slot]} ended: retired; now pid {after[slot]}" for slot in sorted(before)
    ]
    assert [each["last_exit"] for each in daemon.status()["workers"]] == ["retired"] * 3
    assert not TaskAttempt.objects.exists()
    assert answers_for_slot_7(daemon) == {(1, "bgtasksd: there is no slot 7; there are 1, 2, 3\n")}
    told = json.loads(daemon.command("retire", "2", "2", "--wait", "--json").stdout.splitlines()[-1])
    assert [each["new_pid"] for each in told["workers"]] == [daemon.worker(2)["pid"]] != [after[2]]
    assert daemon.worker(1)["pid"] == after[1]
    daemon.assert_converged()


def answers_for_slot_7(daemon) -> set[tuple[int, str]]:
    answers = [daemon.command(*verb) for verb in (("retire", "2", "7"), ("kill", "7"), ("stacks", "7"))]
    return {(each.returncode, each.stderr) for each in answers}


def test_an_only_worker_is_retired_when_its_successor_is_up(make_daemon):
    daemon = make_daemon(workers=1).start()
    old = daemon.worker_pids()
    retired = daemon.command("retire", "--wait")
    assert retired.returncode == 0, retired
    assert daemon.worker_pids() != old
    daemon.assert_converged()


def test_an_order_that_is_refused_because_the_daemon_stops_kills_nobody(make_daemon):
    daemon = make_daemon(workers=2).start()
    (file,) = standing(daemon, 1)
    busy = daemon.busy_worker("stand")
    stopping = client(daemon, "stop")
    wait_until(lambda: daemon.status()["state"] == "stopping", within=20)
    for order in (["kill", str(busy["slot"])], ["retire", str(busy["slot"])]):
        refused = daemon.command(*order)
        assert (refused.returncode, refused.stderr) == (1, "bgtasksd: the daemon is stopping\n")
    assert daemon.worker(busy["slot"])["pid"] == busy["pid"]
    file.unlink()
    stopping.communicate(timeout=60)
    assert CompletedTask.objects.get().attempts == 1
    assert not TaskAttempt.objects.exists()


def test_kill_ends_the_named_worker_alone_with_its_stacks_and_counts_no_crash(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.hang_once(5)
    busy = daemon.busy_worker("hang_once")
    other = daemon.worker(3 - busy["slot"])["pid"]
    killed = daemon.command("kill", str(busy["slot"]), "--wait")
    assert killed.returncode == 0, killed
    new = daemon.worker(busy["slot"])
    assert killed.stdout == f"slot {busy['slot']}: pid {busy['pid']} ended: killed; now pid {new['pid']}\n"
    assert killed.stderr.startswith(f"slot {busy['slot']}: pid {busy['pid']} is killed with task ")
    assert daemon.worker(3 - busy["slot"])["pid"] == other
    wait_until(CompletedTask.objects.exists, within=20)
    assert CompletedTask.objects.get().attempts == 2
    attempt = TaskAttempt.objects.get(attempt=1)
    assert "killed by an operator" in attempt.error
    assert not attempt.crashed
    assert daemon.log_lines("died: killed by an operator")
    assert "in hang_once" in daemon.log, "the stacks"
    assert daemon.status()["totals"]["crashed"] == 0
    for wrong in (["9"], ["one"], []):
        assert daemon.command("kill", *wrong).returncode in (1, 2)
