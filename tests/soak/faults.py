"""What goes wrong in a soak, and how often. What needs a verb of bgtasksd joins in as soon as there is that verb."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.soak.running import LEASE, PATIENCE, Soak
from tests.soak.tasks import MISBEHAVING
from tests.waiting import wait_until


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    act: Callable[[Soak], None]
    weight: float = 1.0
    """How often, compared with others."""
    verb: str = ""
    """Of bgtasksd, without which it cannot be done."""
    needs_server: bool = False
    is_early: bool = False
    """Only in the first half, because it ends the supervisor."""

    @property
    def name(self) -> str:
        return self.act.__name__


FAULTS: list[Fault] = []


def fault(weight: float = 1.0, **more: object) -> Callable[[Callable[[Soak], None]], Callable[[Soak], None]]:
    """Put a function into the list."""

    def add(act: Callable[[Soak], None]) -> Callable[[Soak], None]:
        FAULTS.append(Fault(act, weight, **more))  # type: ignore[arg-type]
        return act

    return add


def possible(soak: Soak, verbs: set[str]) -> list[Fault]:
    """Return the faults that can happen now."""
    has_server = soak.server.vendor != "sqlite"
    return [
        each
        for each in FAULTS
        if (not each.verb or each.verb in verbs)
        and (has_server or not each.needs_server)
        and not (soak.is_late and each.is_early)
    ]


# workers


@fault(weight=6)
def kill_a_worker(soak: Soak) -> None:
    kill_workers(soak, 1)


@fault(weight=1)
def kill_all_workers(soak: Soak) -> None:
    kill_workers(soak, 1000)


def kill_workers(soak: Soak, count: int) -> None:
    pids, offset = soak.workers(), soak.log_size()
    soak.chance.shuffle(pids)
    soak.expect_one_line([pid for pid in pids[:count] if soak.signal(pid, signal.SIGKILL)], offset)


@fault(weight=2)
def stop_a_worker_for_a_while(soak: Soak) -> None:
    with soak.stopped(soak.chance.choice(soak.workers() or [0])):
        time.sleep(soak.chance.uniform(0.5, 4))


@fault(weight=2)
def send_signals_to_workers(soak: Soak) -> None:
    for pid in soak.workers():
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD):
            soak.signal(pid, number)


@fault(weight=1)
def drain_all_workers(soak: Soak) -> None:
    for pid in soak.workers():
        soak.signal(pid, signal.SIGTERM)


@fault(weight=8)
def run_a_task_that_misbehaves(soak: Soak) -> None:
    for name in soak.chance.sample(sorted(MISBEHAVING), 2):
        soak.enqueue(MISBEHAVING[name])


# zygote, maintenance, supervisor


@fault(weight=2)
def kill_maintenance(soak: Soak) -> None:
    soak.signal(soak.daemon.status()["maintenance"]["pid"], signal.SIGKILL)


@fault(weight=1)
def stop_maintenance_for_two_leases(soak: Soak) -> None:
    with soak.stopped(soak.daemon.status()["maintenance"]["pid"]):
        time.sleep(2 * LEASE)


@fault(weight=2)
def kill_the_zygote(soak: Soak) -> None:
    soak.signal(soak.daemon.status()["zygote"]["pid"], signal.SIGKILL)


@fault(weight=1)
def stop_the_zygote_for_a_while(soak: Soak) -> None:
    with soak.stopped(soak.daemon.status()["zygote"]["pid"]):
        time.sleep(soak.chance.uniform(1, 8))


@fault(weight=1)
def kill_everything_but_the_supervisor(soak: Soak) -> None:
    status = soak.daemon.status()
    soak.signal(status["zygote"]["pid"], signal.SIGKILL)
    soak.signal(status["maintenance"]["pid"], signal.SIGKILL)
    kill_workers(soak, 1000)


@fault(weight=1)
def stop_the_supervisor_for_a_while(soak: Soak) -> None:
    with soak.stopped(soak.daemon.pid):
        time.sleep(soak.chance.uniform(0.5, 8))


@fault(weight=1, is_early=True)
def kill_the_supervisor(soak: Soak) -> None:
    soak.signal(soak.daemon.pid, signal.SIGKILL)
    soak.daemon.wait_for_end()
    soak.start(was_killed=True)


@fault(weight=1, is_early=True)
def stop_and_start(soak: Soak) -> None:
    soak.daemon.process.send_signal(soak.chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]))
    code = soak.daemon.wait_for_end(PATIENCE)
    if code:
        soak.broken.append(f"a stop ended with exit code {code}")
    soak.start()


@fault(weight=2)
def storm_of_signals(soak: Soak) -> None:
    """Signals that ask for something that ends as it began, or for nothing."""
    numbers = [signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT]
    for _ in range(2000):
        soak.signal(soak.daemon.pid, soak.chance.choice(numbers))
    for number in (signal.SIGTTIN, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTOU):
        soak.signal(soak.daemon.pid, number)
        time.sleep(0.3)  # the same signal twice may be one
    scale_back(soak)


@fault(weight=1)
def signals_for_the_whole_group(soak: Soak) -> None:
    """What a terminal or a container runtime sends to everybody, but the supervisor."""
    status = soak.daemon.status()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for pid in (status["zygote"]["pid"], status["maintenance"]["pid"], *soak.workers()):
            soak.signal(pid, number)


@fault(weight=2)
def clients_misbehave(soak: Soak) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(60):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.settimeout(1)
            with contextlib.suppress(OSError):
                client.connect(str(soak.daemon.runtime / "control.sock"))
                client.sendall(
                    [b"", b'{"v": 1, "id"', os.urandom(1000), b'{"v":1,"id":1,"cmd":"status"}\n' * 50][number % 4]
                )


# the database


@fault(weight=2, needs_server=True)
def restart_the_database(soak: Soak) -> None:
    soak.server.stop(crash=soak.chance.random() < 0.5)
    time.sleep(soak.chance.choice([0, 0.5, 2, 5]))
    soak.server.start()


@fault(weight=0.5, needs_server=True)
def database_away_for_three_leases(soak: Soak) -> None:
    soak.server.stop()
    time.sleep(3 * LEASE)
    soak.server.start()


@fault(weight=1, needs_server=True)
def workers_die_while_the_database_is_away(soak: Soak) -> None:
    """What they had finished and not written down, maintenance learns when it can write again."""
    soak.server.stop()
    time.sleep(soak.chance.uniform(0, 3))
    kill_workers(soak, soak.chance.choice([1, 3, 1000]))
    if soak.chance.random() < 0.5:
        kill_maintenance(soak)
    time.sleep(soak.chance.choice([0, 2, 8]))
    soak.server.start()


@fault(weight=1, needs_server=True, is_early=True)
def stop_and_start_while_the_database_is_away(soak: Soak) -> None:
    soak.server.stop()
    time.sleep(soak.chance.uniform(0, 3))
    kill_workers(soak, soak.chance.choice([0, 1]))
    soak.daemon.process.send_signal(soak.chance.choice([signal.SIGTERM, signal.SIGQUIT]))
    soak.daemon.wait_for_end(PATIENCE)
    soak.server.start()
    soak.start()


@fault(weight=2, needs_server=True)
def end_all_connections(soak: Soak) -> None:
    from django.db import connection, connections

    connections.close_all()
    with connection.cursor() as cursor:
        soak.server.end_all_others(cursor)


@fault(weight=2)
def hold_locks(soak: Soak) -> None:
    """Rows of running tasks; on SQLite the only write lock there is."""
    from django.db import connections, transaction

    from bgtasks.models import Status, Task

    connections.close_all()
    with transaction.atomic():
        list(
            Task.objects.select_for_update(skip_locked=soak.server.vendor != "sqlite").filter(status=Status.RUNNING)[:5]
        )
        time.sleep(soak.chance.uniform(0.5, LEASE / 2))


# what operators do


@fault(weight=2, verb="scale")
def scale(soak: Soak) -> None:
    for _ in range(soak.chance.randint(1, 4)):
        soak.command("scale", str(soak.chance.choice([1, 4, soak.daemon.workers + 4, 2 * soak.daemon.workers])))
        time.sleep(soak.chance.uniform(0, 2))
    scale_back(soak)


def scale_back(soak: Soak) -> None:
    if "scale" in soak.verbs:
        soak.command("scale", str(soak.daemon.workers))


@fault(weight=2, verb="reload")
def reload(soak: Soak) -> None:
    soak.command("reload")


@fault(weight=1, verb="reload")
def storm_of_reloads(soak: Soak) -> None:
    for _ in range(50):
        soak.signal(soak.daemon.pid, signal.SIGHUP)
        time.sleep(0.02)


@fault(weight=1, verb="upgrade")
def upgrade(soak: Soak) -> None:
    soak.command("upgrade")
    soak.stood_still.append(time.monotonic())


@fault(weight=1, verb="drain")
def drain_and_undo(soak: Soak) -> None:
    soak.command("drain")
    time.sleep(soak.chance.uniform(0.5, 4))
    soak.command("drain", "--undo")


@fault(weight=2, verb="retire")
def retire(soak: Soak) -> None:
    slots = [each["slot"] for each in soak.daemon.status()["workers"] if each["pid"]]
    soak.command(
        "retire", *map(str, soak.chance.sample(slots, min(2, len(slots)))), is_sure=False
    )  # it may be gone by then


@fault(weight=2, verb="kill")
def kill_by_command(soak: Soak) -> None:
    soak.command("kill", str(soak.chance.randint(1, soak.daemon.workers)), is_sure=False)


@fault(weight=1, verb="reopen")
def reopen(soak: Soak) -> None:
    soak.command("reopen")


@fault(weight=1, verb="stacks")
def stacks(soak: Soak) -> None:
    soak.command("stacks", is_sure=False)


@fault(weight=1, verb="pause")
def pause_and_resume(soak: Soak) -> None:
    soak.command("pause", "default", is_sure=False)
    time.sleep(soak.chance.uniform(0.5, 2))
    wait_until(lambda: soak.command("resume", "default", is_sure=False) == 0, PATIENCE, "resume")
