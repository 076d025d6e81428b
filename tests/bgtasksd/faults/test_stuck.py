"""F16, F29, F41: workers that do not move, do not boot, or survive SIGKILL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask, Status, Task
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f16_f41_a_loop_that_does_not_move_and_a_boot_that_hangs_are_ended_in_time(make_daemon):
    daemon = make_daemon(workers=1, PRELOAD="none", IDLE_TIMEOUT=2, BOOT_TIMEOUT=3)
    pause = daemon.directory / "pause"
    pause.touch()
    daemon.variables["BGTASKS_TEST_PAUSE"] = f"claimed:{pause}"
    daemon.start()
    whole = daemon.settings_file.read_text()
    daemon.add_setting("import time\ntime.sleep(3600)")
    pid = daemon.worker_pids()[0]
    task = tasks.quick(1)  # its worker stops between the claim and the task
    wait_until(lambda: daemon.worker(1)["last_exit"] == "stuck", within=20)
    assert len(daemon.log_lines(rf"pid {pid} died: killed: its loop had not moved")) == 1
    wait_until(lambda: daemon.log_lines("did not boot in time"), within=20)
    wait_until(lambda: daemon.worker(1)["last_exit"] == "boot_failure", within=20)
    assert daemon.log_lines(r"project_under_test.py., line \d+ in <module>")  # where it hung
    daemon.settings_file.write_text(whole)
    pause.unlink()
    wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).exists(), within=40)
    assert CompletedTask.objects.get().attempts == 1
    daemon.assert_converged(within=20)


def test_f41_a_boot_that_hangs_is_ended_in_time_also_if_its_worker_is_not_wanted_any_more(make_daemon):
    daemon = make_daemon(workers=1, PRELOAD="none", BOOT_TIMEOUT=3).start()
    whole = daemon.settings_file.read_text()
    daemon.add_setting("import time\ntime.sleep(3600)")
    assert daemon.command("scale", "2").returncode == 0
    wait_until(lambda: daemon.worker(2)["pid"] and daemon.worker(2)["state"] == "booting", within=20)
    done = daemon.command("scale", "1", "--wait", "--timeout", "40")
    assert (done.returncode, done.stdout) == (0, "1 worker\n"), done
    assert daemon.log_lines("did not boot in time")
    daemon.settings_file.write_text(whole)
    daemon.baseline += 1  # the scoreboard has grown
    daemon.assert_converged(within=20)


@pytest.fixture
def freezer():
    """A cgroup of the freezer (v1): what is frozen in it keeps SIGKILL pending."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line.split(":", 2)[2].lstrip("/") for line in lines if ":freezer:" in line), None)
    group = Path("/sys/fs/cgroup/freezer", own or "", f"bgtasks-test-{os.getpid()}")
    try:
        if own is None:
            pytest.skip("there is no freezer of cgroup version 1")
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no freezer can be made: {error}")
    yield group
    (group / "freezer.state").write_text("THAWED")
    wait_until(lambda: not (group / "cgroup.procs").read_text().strip(), within=20)
    group.rmdir()


def test_f29_a_worker_that_survives_sigkill_is_left_alone_and_its_task_stays_claimed(make_daemon, freezer):
    daemon = make_daemon(workers=1, MAX_RUN_TIME=1, BACKOFF=60, LEASE=3).start()
    task = tasks.hang_stubbornly()
    pid = daemon.busy_worker("hang_stubbornly")["pid"]
    (freezer / "cgroup.procs").write_text(str(pid))
    (freezer / "freezer.state").write_text("FROZEN")
    wait_until(lambda: daemon.log_lines("survives SIGKILL"), within=40)
    wait_until(lambda: daemon.worker(1)["state"] == "idle" and daemon.worker(1)["pid"] != pid, within=20)
    assert Task.objects.get(pk=task.pk).status == Status.RUNNING
    assert "worker_unkillable" in {each["code"] for each in daemon.status()["problems"]}
    (freezer / "freezer.state").write_text("THAWED")
    wait_until(lambda: Task.objects.get(pk=task.pk).crashes == 1, within=20)
    daemon.assert_converged()
