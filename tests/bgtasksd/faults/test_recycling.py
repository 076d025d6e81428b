"""F08, F11, F32, F33, F36, F37: workers that leave at a limit, or are ended for want of memory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask, Task, TaskAttempt
from bgtasksd.children.process import parent
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import coroutines, tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

LIMIT = 220 * 1024 * 1024


def own_memory_cgroup() -> tuple[Path, dict[str, str]]:
    """Return our memory cgroup, and which of its files limit memory and swap to how much."""
    groups = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups[controllers] = path.lstrip("/")
    if "memory" in groups:
        limits = {"memory.limit_in_bytes": str(LIMIT), "memory.memsw.limit_in_bytes": str(LIMIT)}
        return Path("/sys/fs/cgroup/memory", groups["memory"]), limits
    return Path("/sys/fs/cgroup", groups[""]), {"memory.max": str(LIMIT), "memory.swap.max": "0"}


@contextlib.contextmanager
def limited_cgroup():
    """Make a cgroup with little memory below our own and yield its entrance; skip where that is not permitted."""
    own, limits = own_memory_cgroup()
    group = own / f"bgtasks-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        for name, value in limits.items():
            if "sw" not in name or (group / name).exists():
                (group / name).write_text(value)
        yield group / "cgroup.procs"
    except PermissionError as error:
        pytest.skip(f"a cgroup of ours cannot be limited: {error}")
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text().strip(), within=20)
        group.rmdir()


def test_f08_out_of_memory_ends_a_worker_and_not_the_supervisor_and_is_named(make_daemon):
    with limited_cgroup() as entrance:
        daemon = make_daemon(workers=1, BACKOFF=60)
        daemon.wrapper = ["sh", "-c", f'echo $$ > {entrance}; exec "$@"', "sh"]
        try:
            daemon.start()
            task = tasks.hog()
            wait_until(lambda: TaskAttempt.objects.filter(task_id=task.pk).exists(), within=40)
            attempt = TaskAttempt.objects.filter(task_id=task.pk).first()
            assert "out of memory" in attempt.error
            Task.objects.all().delete()
            wait_until(lambda: daemon.is_ready, within=20)
            assert daemon.worker(1)["last_exit"] == "out_of_memory"
            daemon.assert_converged()
        finally:
            daemon.close()


def test_f11_planned_retirements_are_fast_and_never_all_at_once(make_daemon):
    daemon = make_daemon(workers=4, SLEEP=1)
    daemon.start("--max-tasks", "1")
    for number in range(40):
        tasks.quick(number)
    fewest = 4

    def all_done():
        nonlocal fewest
        states = [worker["state"] for worker in daemon.status()["workers"]]
        fewest = min(fewest, 4 - sum(state in ("spawning", "backoff") for state in states))
        return CompletedTask.objects.count() == 40

    wait_until(all_done, within=60)
    wait_until(lambda: daemon.status()["totals"]["recycled"]["tasks"] == 40, within=60)
    assert fewest >= 3
    assert len({entry["pid"] for entry in daemon.ledger("ran")}) == 40
    assert not daemon.log_lines("next in")
    daemon.assert_converged()


def test_f32_f33_a_leak_recycles_its_worker_between_tasks_and_a_freed_spike_does_not(make_daemon):
    daemon = make_daemon(workers=1)
    daemon.variables["BGTASKS_TEST_MIN_LIFETIME"] = "0.5"
    daemon.start("--max-memory", "80M")
    first = daemon.worker_pids()
    wait_until(lambda: daemon.worker(1)["age_s"] > 1)
    for _ in range(3):
        tasks.spike(200)
    wait_until(lambda: CompletedTask.objects.count() == 3, within=30)
    tasks.nap(1.2)
    wait_until(lambda: CompletedTask.objects.count() == 4, within=30)
    assert daemon.worker_pids() == first
    assert daemon.status()["totals"]["recycled"]["memory"] == 0

    for _ in range(40):
        tasks.leak(5)
    wait_until(lambda: CompletedTask.objects.count() == 44, within=40)
    wait_until(lambda: daemon.status()["totals"]["recycled"]["memory"] >= 1, within=20)
    assert len(daemon.ledger("ran")) == 43
    assert not TaskAttempt.objects.exists()
    daemon.assert_converged()


def test_f36_workers_too_old_leave_after_their_task_one_after_the_other(make_daemon):
    daemon = make_daemon(workers=4)
    daemon.variables["BGTASKS_TEST_MIN_LIFETIME"] = "0.5"
    daemon.start("--max-age", "1s", is_awaited=False)
    wait_until(lambda: daemon.log_lines("ready, 4 workers up"), SLOW_MACHINE)  # all at once are up for a second only
    first = set(daemon.worker_pids())
    tasks.nap(8.0)
    busy = daemon.busy_worker("nap")["pid"]
    fewest = 4

    def all_replaced():
        nonlocal fewest
        states = [worker["state"] for worker in daemon.status()["workers"]]
        fewest = min(fewest, 4 - sum(state in ("spawning", "backoff") for state in states))
        return first - set(daemon.worker_pids()) == first - {busy} and not daemon.ledger("ended")

    wait_until(all_replaced, SLOW_MACHINE)
    wait_until(lambda: daemon.ledger("ended"), SLOW_MACHINE)
    wait_until(lambda: busy not in daemon.worker_pids(), SLOW_MACHINE)
    assert fewest >= 3
    assert CompletedTask.objects.get().attempts == 1
    assert daemon.status()["totals"]["recycled"]["age"] >= 4


def test_f37_the_replacement_of_an_only_worker_is_up_before_the_old_one_leaves(make_daemon):
    daemon = make_daemon(workers=1)
    daemon.variables["BGTASKS_TEST_MIN_LIFETIME"] = "0.5"
    daemon.start("--max-age", "1s")
    first = daemon.worker_pids()
    gaps = []

    def replaced():
        states = [worker["state"] for worker in daemon.status()["workers"]]
        gaps.extend(state for state in states if state in ("spawning", "booting", "backoff"))
        return daemon.worker_pids() != first

    wait_until(replaced, within=20)
    assert not gaps
    assert daemon.is_ready


def supervised(daemon) -> int:
    """Return how many processes the supervisor has, the zygote and maintenance among them."""
    return sum(parent(pid) == daemon.pid for pid in daemon.processes())


def test_f37_an_only_worker_whose_coroutines_outlast_its_age_has_one_process_beside_it_at_most(make_daemon):
    daemon = make_daemon(workers=1, TASK_MODULES=["tests.lifecycle.coroutines"], CONCURRENCY=2)
    daemon.variables["BGTASKS_TEST_MIN_LIFETIME"] = "0.5"
    daemon.start("--max-age", "1s")
    coroutines.wait_for_file("go", 0)
    first = wait_until(lambda: daemon.ledger("started"), SLOW_MACHINE)[0]["pid"]
    wait_until(lambda: daemon.worker_pids() != [first], SLOW_MACHINE, "one that is young")
    coroutines.wait_for_file("go", 1)
    wait_until(lambda: len(daemon.ledger("started")) == 2, SLOW_MACHINE)
    second, most = daemon.ledger("started")[1]["pid"], 0

    def goes_on_at_three_times_its_age():
        nonlocal most
        most = max(most, supervised(daemon))
        return daemon.worker(1)["age_s"] > 3

    wait_until(goes_on_at_three_times_its_age, SLOW_MACHINE)
    assert most == 2 + 2
    (daemon.directory / "go").touch()
    wait_until(lambda: CompletedTask.objects.count() == 2, SLOW_MACHINE)
    wait_until(lambda: daemon.worker_pids() != [second], SLOW_MACHINE, "the next one")
    assert first != second
    assert not TaskAttempt.objects.exists()
