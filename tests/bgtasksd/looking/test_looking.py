"""Looking at a running daemon: its events, the stacks of its processes, and orders about its log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import psutil
import pytest

from bgtasks.models import CompletedTask
from bgtasksd.connection import Connection, NoAnswer
from tests.bgtasksd.test_metrics import samples
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


@pytest.fixture
def follow():
    """Start `bgtasksd events --follow` on a daemon, its lines in a file; end it afterwards."""
    started = []

    def start(daemon, *arguments):
        path = daemon.directory / f"followed-{len(started)}"
        command = [sys.executable, "-m", "bgtasksd", "events", "--follow", *arguments]
        command += ["--runtime-dir", str(daemon.runtime)]
        with path.open("wb") as out:
            started.append(subprocess.Popen(command, env=daemon.environment(), stdout=out, stderr=subprocess.STDOUT))
        return started[-1], path

    yield start
    for each in started:
        each.kill()
        each.wait()


def heard(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def named(events, name):
    return [event for event in events if event["event"] == name]


# -- events


def test_followed_events_tell_of_spawns_the_one_reason_of_an_exit_orders_and_the_end(make_daemon, follow):
    daemon = make_daemon(workers=1).start()
    follower, path = follow(daemon, "--json")
    wait_until(lambda: "ready" in path.read_text(), within=20)
    first = [event["event"] for event in heard(path)]
    assert first.index("spawned") < first.index("booted") < first.index("ready")

    daemon.end_worker(1)
    wait_until(lambda: len(named(heard(path), "booted")) == 2, within=20)
    (ended,) = named(heard(path), "worker_exit")
    assert (ended["slot"], ended["level"]) == (1, "error")
    assert "SIGKILL: killed from outside" in ended["message"]

    assert daemon.command("log-level", "info").returncode == 0
    assert daemon.command("stop").returncode == 0
    assert follower.wait(20) == 0, "it ends with the daemon"
    told = heard(path)
    assert [event["command"] for event in named(told, "control")] == ["log-level", "stop"]
    assert told[-1]["event"] == "stopped"
    assert all(event["time"].endswith("Z") and event["message"] for event in told)


def test_events_as_lines_and_only_the_last_ones(make_daemon):
    daemon = make_daemon(workers=2).start()
    asked = daemon.command("events")
    assert asked.returncode == 0
    assert asked.stdout.count(" spawned\n") == 2
    last = daemon.command("events", "-n", "1").stdout
    assert last == asked.stdout.splitlines(keepends=True)[-1]
    daemon.end()
    assert daemon.command("events").returncode == 3


def test_problems_are_events_when_they_come_and_when_they_go(make_daemon):
    daemon = make_daemon(workers=1).start()
    os.rename(daemon.runtime / "bgtasksd.lock", daemon.runtime / "moved")  # noqa: PTH104

    def events(name):
        return [each for each in kept(daemon) if each["event"] == name and each["code"] == "runtime_dir_lost"]

    daemon.status()
    assert events("problem")[0]["level"] == "error"
    wait_until(lambda: events("problem_gone"), within=20)


def kept(daemon):
    return [json.loads(line) for line in daemon.command("events", "--json").stdout.splitlines()]


def test_a_follower_that_never_reads_is_cut_and_slows_nobody(make_daemon):
    daemon = make_daemon(workers=1).start()
    with Connection(daemon.runtime) as deaf, Connection(daemon.runtime) as busy:
        for each in (deaf, busy):
            each.be_patient(120)
        deaf.ask("events", n=0, wait=True)
        for _ in range(4000):  # each order is an event
            busy.ask("log-level", level="info")
        assert is_cut_off(deaf)
    assert len(kept(daemon)) == 1000
    daemon.assert_converged()


def is_cut_off(connection):
    """Read what has come; tell whether the daemon has closed the connection before all of it."""
    try:
        for _ in range(20_000):
            connection.read()
    except NoAnswer:
        return True
    return False


# -- stacks


def test_stacks_show_every_process_also_a_worker_stuck_in_c(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.spin_in_c()
    worker = daemon.busy_worker("spin_in_c")
    shown = daemon.command("stacks", "--json")
    assert shown.returncode == 0, shown.stderr
    found = {each["process"]: each for each in json.loads(shown.stdout)["processes"]}
    assert found.keys() == {"w1", "w2", "zygote", "maintenance"}
    stuck = found[f"w{worker['slot']}"]
    assert stuck["task"].endswith(".spin_in_c")
    assert "in spin_in_c" in stuck["stacks"]
    assert stuck["stacks"].rstrip().endswith("in _run_module_as_main"), "to its very end"
    assert [each["stacks"] for each in found.values() if "most recent call first" not in each["stacks"]] == []
    one = daemon.command("stacks", str(worker["slot"]))
    assert one.returncode == 0, one.stderr
    assert one.stdout.count("most recent call first") == 1
    assert "in spin_in_c" in one.stdout
    assert daemon.command("stacks", "3").returncode == 1
    daemon.assert_converged()


def test_stacks_of_a_stopped_worker_are_not_waited_for_and_the_loop_goes_on(make_daemon):
    daemon = make_daemon(workers=2).start()
    pid = daemon.worker(1)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: daemon.worker(1)["state"] == "stopped", within=20)
        shown = json.loads(daemon.command("stacks", "--json").stdout)["processes"]
    finally:
        os.kill(pid, signal.SIGCONT)
    texts = {each["process"]: each["stacks"] for each in shown}
    assert texts["w1"] == "(no answer in 3 s; the process is in state T)"
    assert "most recent call first" in texts["w2"]
    daemon.assert_converged()


# -- metrics


def test_prometheus_reads_the_metrics_of_a_live_daemon(make_daemon):
    daemon = make_daemon(workers=2).start()
    daemon.end_worker(1)
    told = daemon.command("metrics")
    assert told.returncode == 0
    found = samples(told.stdout)
    assert found["bgtasks_workers_target", ""] == 2
    assert found["bgtasks_worker_exits_total", "signal"] == 1
    assert found["bgtasks_database_reachable", ""] == 1
    assert 0 < found["bgtasks_supervisor_start_time_seconds", ""] < 1e11


def test_executions_are_counted_by_task_queue_and_outcome_and_an_upgrade_forgets_none(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.quick(1)
    tasks.quick.using(queue="mail").enqueue(2)
    tasks.fail_once(3)
    expected = {"quick default successful": 1, "quick mail successful": 1, "fail_once default retried": 1}
    wait_until(lambda: expected.items() <= executions(daemon).items(), within=60)
    tasks.hang(4)
    worker = daemon.busy_worker("hang")
    daemon.end_worker(worker["slot"])
    wait_until(lambda: executions(daemon).get("hang  crashed") == 1, within=60)
    before = executions(daemon)
    assert daemon.command("upgrade", "--timeout", "60").returncode == 0, daemon.log
    assert before.items() <= executions(daemon).items()
    found = samples(daemon.command("metrics").stdout)
    assert found["bgtasks_task_duration_seconds_count", "tests.lifecycle.tasks.quick mail"] == 1
    assert 0 <= found["bgtasks_task_wait_seconds_sum", "mail"] < 60


def executions(daemon) -> dict[str, float]:
    """Return how often which task in which queue has ended how."""
    found = samples(daemon.command("metrics").stdout)
    prefix = "tests.lifecycle.tasks."
    return {
        labels.removeprefix(prefix): count
        for (name, labels), count in found.items()
        if name == "bgtasks_task_executions_total"
    }


def test_probes_and_prometheus_are_answered_over_http_after_an_upgrade_too_and_no_child_holds_the_port(make_daemon):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    daemon = make_daemon(workers=1).start("--http", str(port))
    daemon.end_worker(1)
    wait_until(lambda: daemon.is_ready, within=20)
    for _ in range(2):
        assert page(port, "livez") == page(port, "readyz") == "ok\n"
        assert 'bgtasks_worker_exits_total{reason="signal"} 1\n' in page(port, "metrics")
        assert json.loads(page(port, "status.json"))["pid"] == daemon.pid
        upgraded = daemon.command("upgrade", "--timeout", "60")
        assert upgraded.returncode == 0, upgraded.stderr + daemon.log
        wait_until(lambda: daemon.log_lines("reloaded in"), within=60)
    wait_until(lambda: listening_on(port, daemon.pid) == [daemon.pid], within=20)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.process.wait()


def listening_on(port, pid):
    """Return who of a process and its descendants holds a socket that listens there."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    with contextlib.suppress(psutil.NoSuchProcess):
        found = [(each.pid, place) for each in family for place in each.net_connections("inet")]
        return [pid for pid, place in found if place.status == psutil.CONN_LISTEN and place.laddr.port == port]
    return None


def page(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
        return answer.read().decode()


# -- the log


def test_the_log_level_holds_for_all_processes_and_those_to_come(make_daemon):
    daemon = make_daemon(workers=1).start()
    tasks.quick(1)
    wait_until(lambda: daemon.log_lines(r"quick.*done"), within=20)
    assert daemon.command("log-level", "warning").stdout == "log level warning\n"
    daemon.end_worker(1)  # the next one is born with it
    wait_until(lambda: daemon.ready_workers() == 1, within=20)
    before = len(daemon.log_lines(r"quick.*done"))
    tasks.quick(2)
    wait_until(lambda: CompletedTask.objects.count() == 2, within=20)
    assert len(daemon.log_lines(r"quick.*done")) == before
    assert named(kept(daemon), "booted"), "events are heard at any level"
    assert daemon.command("log-level", "info").returncode == 0
    tasks.quick(3)
    wait_until(lambda: len(daemon.log_lines(r"quick.*done")) > before, within=20)
    assert daemon.command("log-level", "loud").returncode == 2


@pytest.mark.parametrize("order", ["command", "signal"])
@pytest.mark.parametrize("creates", [True, False])
def test_a_moved_log_file_is_let_go_by_every_process(make_daemon, order, creates):
    daemon = make_daemon(workers=2)
    path = daemon.directory / "own.log"
    daemon.start("--log-file", str(path))
    moved = path.with_name("own.log.1")
    path.rename(moved)
    if creates:
        path.touch()
    holders = holding(daemon, moved)
    assert len(holders) >= 4, "supervisor, zygote, maintenance, workers"
    if order == "command":
        assert daemon.command("reopen").stdout == f"{path} opened again\n"
    else:
        os.kill(daemon.pid, signal.SIGUSR1)
    wait_until(lambda: not holding(daemon, moved), within=20)
    assert len(holding(daemon, path)) == len(holders)
    daemon.assert_converged()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_in_the_background_what_tasks_print_goes_with_the_log_file_and_damages_no_worker(make_daemon, concurrency):
    daemon = make_daemon(workers=2, CONCURRENCY=concurrency)
    path, moved = daemon.directory / "own.log", daemon.directory / "own.log.1"
    daemon.start_in_background("--log-file", str(path))
    workers = daemon.worker_pids()
    wait_until(lambda: len(holding(daemon, path)) >= 5, within=20, what="supervisor, zygote, maintenance, workers")
    path.rename(moved)
    assert holding(daemon, moved)
    assert daemon.command("reopen").stdout == f"{path} opened again\n"
    wait_until(lambda: not holding(daemon, moved), within=20)
    for number in range(8):
        tasks.say(f"printed by task {number}.")
    wait_until(lambda: all(f"printed by task {number}." in path.read_text() for number in range(8)), within=20)
    wait_until(lambda: CompletedTask.objects.count() == 8, within=20)
    assert daemon.worker_pids() == workers, path.read_text()
    assert "damaged" not in path.read_text()
    assert daemon.command("stop").returncode == 0


def test_in_the_background_a_new_worker_finds_the_log_file_that_nobody_has_ordered_to_open(make_daemon):
    daemon = make_daemon(workers=1)
    path, moved = daemon.directory / "own.log", daemon.directory / "own.log.1"
    daemon.start_in_background("--log-file", str(path))
    path.rename(moved)
    daemon.end_worker(1)
    wait_until(lambda: daemon.is_ready, within=20)
    tasks.say("printed by a task")
    wait_until(lambda: path.exists() and "printed by a task" in path.read_text(), within=20)
    assert not {daemon.supervisor_pid, *daemon.worker_pids()} & set(holding(daemon, moved))
    assert daemon.command("stop").returncode == 0


def holding(daemon, path):
    """Return the pids of the daemon's processes that have this very file open."""
    return [
        pid
        for pid in daemon.processes()
        if any(os.path.realpath(f"/proc/{pid}/fd/{each}") == str(path) for each in descriptors(pid))
    ]


def descriptors(pid):
    try:
        return os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208
    except OSError:
        return []
