"""While it runs: what status says and how fast, how stop ends it, what systemd hears, where the log goes."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import pytest

from bgtasks.models import CompletedTask, Task
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "status.schema.json").read_text())


# -- status


def test_a_live_daemon_answers_by_the_schema_and_quickly(make_daemon, record_property):
    daemon = make_daemon(workers=2).start()
    tasks.hang()
    daemon.busy_worker("hang")
    used = []
    for _ in range(5):
        before = processor_seconds()
        asked = daemon.command("status", "--json")
        used.append(processor_seconds() - before)
        assert asked.returncode == 0
        jsonschema.validate(json.loads(asked.stdout), SCHEMA)
    record_property("status_processor_seconds", min(used))
    assert min(used) < 0.6, "the promise is 0.15 s on a quiet machine"


def processor_seconds() -> float:
    """Return what the commands of this process have used: others may keep the machine busy meanwhile."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_the_callers_thresholds_decide_the_exit_code(make_daemon):
    daemon = make_daemon(workers=1).start()
    assert daemon.command("status", "-q", "--min-workers", "1", "--max-failed", "0").returncode == 0
    asked = daemon.command("status", "--json", "--min-workers", "2")
    assert asked.returncode == 1
    assert json.loads(asked.stdout)["problems"][0]["code"] == "workers_too_few"


def test_f74_every_answer_is_consistent_while_workers_are_killed(make_daemon):
    daemon = make_daemon(workers=2).start()
    for turn in range(12):
        for pid in daemon.worker_pids()[: turn % 2]:
            os.kill(pid, signal.SIGKILL)
        asked = daemon.command("status", "--json")
        told = json.loads(asked.stdout)
        jsonschema.validate(told, SCHEMA)
        errors = [problem for problem in told["problems"] if problem["severity"] == "error"]
        assert asked.returncode == (1 if errors else 0)
        assert [worker["slot"] for worker in told["workers"]] == [1, 2]


# -- stop


def test_stop_waits_until_running_tasks_are_finished(make_daemon):
    daemon = make_daemon(workers=2, DRAIN_TIMEOUT=SLOW_MACHINE).start()
    obstacle = daemon.directory / "stand-1"
    obstacle.touch()
    tasks.stand(1)
    daemon.busy_worker("stand")
    with ThreadPoolExecutor(max_workers=1) as beside:
        stopping = beside.submit(daemon.command, "stop")
        wait_until(lambda: daemon.status()["state"] == "stopping", SLOW_MACHINE)
        obstacle.unlink()
        stopped = stopping.result()
    assert stopped.returncode == 0
    assert stopped.stderr == "2 workers, 1 task running…\n"
    assert stopped.stdout.startswith("stopped in ")
    assert daemon.wait_for_end() == 0
    assert CompletedTask.objects.count() == 1
    assert daemon.command("status").returncode == 3
    assert daemon.command("stop").returncode == 3


def test_stop_now_interrupts_and_says_how_many_tasks_were_given_back(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.hang()
    daemon.busy_worker("hang")
    stopped = daemon.command("stop", "--now", "--json")
    assert stopped.returncode == 0
    assert json.loads(stopped.stdout) == {"stopped": True, "given_back": 1}
    assert daemon.wait_for_end() == 0
    assert Task.objects.get().attempts == 0


def test_stop_gives_up_at_its_timeout_and_the_daemon_goes_on_stopping(make_daemon):
    daemon = make_daemon(workers=1).start()
    tasks.hang()
    daemon.busy_worker("hang")
    stopped = daemon.command("stop", "--timeout", "200ms")
    assert stopped.returncode == 1
    assert "it goes on stopping" in stopped.stderr
    assert daemon.status()["state"] == "stopping"
    assert daemon.command("stop", "--now").returncode == 0
    assert daemon.wait_for_end() == 0


def test_ten_stops_at_once_are_one(make_daemon):
    daemon = make_daemon(workers=1).start()
    command = [sys.executable, "-m", "bgtasksd", "--runtime-dir", str(daemon.runtime), "stop", "-q"]
    stops = [subprocess.Popen(command, env=daemon.environment()) for _ in range(10)]
    assert {stop.wait(60) for stop in stops} <= {0, 3}
    assert daemon.wait_for_end() == 0


# -- systemd


def test_systemd_hears_ready_status_signs_of_life_and_the_stop(make_daemon, systemd):
    address, listen = systemd
    daemon = make_daemon(workers=2)
    daemon.variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
    daemon.start(is_awaited=False)
    wait_until(lambda: "READY=1" in listen(), within=20)
    before_ready = listen()[: listen().index("READY=1")]
    assert "STATUS=2/2 workers up, 0 busy" not in before_ready, "READY came with the last worker, not after"
    count = listen().count("WATCHDOG=1")
    wait_until(lambda: listen().count("WATCHDOG=1") >= count + 5, within=20)
    tasks.hang()
    wait_until(lambda: "STATUS=2/2 workers up, 1 busy" in listen(), within=20)
    daemon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "STOPPING=1" in listen(), within=20)
    wait_until(lambda: any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in listen()), within=20)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait_for_end() == 0
    assert listen().count("READY=1") == 1


def test_a_stopped_supervisor_gives_no_sign_of_life(make_daemon, systemd):
    address, listen = systemd
    daemon = make_daemon(workers=1)
    daemon.variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
    daemon.start()
    os.kill(daemon.pid, signal.SIGSTOP)
    listen()
    count = listen().count("WATCHDOG=1")
    time.sleep(1)  # nothing may arrive: there is nothing to wait for
    assert listen().count("WATCHDOG=1") == count
    os.kill(daemon.pid, signal.SIGCONT)
    wait_until(lambda: listen().count("WATCHDOG=1") > count, within=20)


# -- the log


def test_f45_a_log_that_nobody_reads_stops_neither_the_loop_nor_the_answers(make_daemon, systemd):
    address, listen = systemd
    daemon = make_daemon(workers=1)
    daemon.variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
    daemon.log_file = daemon.directory / "stalled"
    os.mkfifo(daemon.log_file)
    reader = os.open(daemon.log_file, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(daemon.log_file, os.O_WRONLY | os.O_NONBLOCK)
    daemon.start(is_awaited=False)
    wait_until(lambda: "READY=1" in listen(), within=20)
    fill(writer)
    loop_goes_on(daemon, listen)
    os.close(reader)  # the reader dies as well
    os.close(writer)
    loop_goes_on(daemon, listen)
    assert daemon.command("stop").returncode == 0
    daemon.log_file = daemon.directory / "none"


def loop_goes_on(daemon, listen):
    """Give the supervisor something to say, and look whether it does its work all the same."""
    count = listen().count("WATCHDOG=1")
    daemon.end_worker(1)
    wait_until(lambda: daemon.ready_workers() == 1, within=20)
    wait_until(lambda: listen().count("WATCHDOG=1") > count, within=20)


def fill(descriptor: int) -> None:
    """Fill a pipe to the last byte."""
    for size in (4096, 1):
        try:
            while True:
                os.write(descriptor, b"x" * size)
        except BlockingIOError:
            continue


def test_the_log_as_json_is_json_line_by_line(make_daemon):
    daemon = make_daemon(workers=1).start("--log-format", "json")
    tasks.quick()
    wait_until(lambda: CompletedTask.objects.count() == 1, within=20)
    assert daemon.end() == 0
    lines = [json.loads(line) for line in daemon.log.splitlines() if line.startswith("{")]
    assert {"banner", "ready", "task"} <= {line.get("event") for line in lines}
    assert [line for line in daemon.log.splitlines() if not line.startswith("{") and "Warning" not in line] == []


def test_a_log_file_takes_the_lines_of_all_processes_and_can_be_moved(make_daemon):
    daemon = make_daemon(workers=1)
    path = daemon.directory / "own.log"
    daemon.start("--log-file", str(path))
    tasks.quick(1)
    wait_until(lambda: "quick" in path.read_text() and "done" in path.read_text(), within=20)
    path.rename(daemon.directory / "own.log.1")
    tasks.quick(2)
    wait_until(lambda: path.exists() and "done" in path.read_text(), within=20)
    assert daemon.end() == 0
    assert "stopped" in path.read_text()


def test_under_the_journal_lines_have_a_priority_and_no_time(make_daemon):
    daemon = make_daemon(workers=1)
    with daemon.log_file.open("ab"):
        at = daemon.log_file.stat()
    daemon.variables = {"JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"}
    daemon.start()
    wait_until(lambda: daemon.log_lines("^<6>ready, 1 workers? up"), within=20)
    assert daemon.end() == 0
    lines = [line for line in daemon.log.splitlines() if "Warning" not in line]
    assert lines
    assert all(line.startswith("<") and line[2] == ">" for line in lines), daemon.log


def test_the_banner_says_what_was_found(make_daemon):
    daemon = make_daemon(workers=2).start("--queues", "default,mail")
    wait_until(lambda: daemon.log_lines("ready, 2 workers up"), within=20)
    first = daemon.log.splitlines()[0]
    assert first.startswith("bgtasksd ")
    assert "· Python " in first
    assert "· Django " in first
    assert daemon.log_lines(r"^settings    project_under_test +named by DJANGO_SETTINGS_MODULE")
    assert daemon.log_lines(r"^workers     2 processes · recycled after 1 h · queues: default, mail")
    assert daemon.log_lines(rf"^control     {daemon.runtime}/control.sock")
    assert daemon.log_lines(r"^tasks       \d+ found: .*tests")


def test_an_unknown_variable_is_named_with_its_neighbour(make_daemon):
    daemon = make_daemon(workers=1)
    daemon.variables = {"BGTASKSD_MAX_AEG": "1h"}
    daemon.start()
    assert daemon.log_lines("BGTASKSD_MAX_AEG is no option and changes nothing; did you mean BGTASKSD_MAX_AGE?")
