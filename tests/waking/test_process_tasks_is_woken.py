"""`process_tasks` that would not look at the queue for minutes: what starts all the same was woken for."""

from __future__ import annotations

import signal
import socket
import stat
from datetime import timedelta

import pytest

from bgtasks.models import CompletedTask
from tests.hosts import listening, proxy
from tests.lifecycle import tasks
from tests.settings import VENDOR
from tests.waiting import wait_until
from tests.waking.conftest import SELDOM, SLOW_MACHINE

__all__ = ["proxy"]
pytestmark = pytest.mark.processes


@pytest.fixture
def start_idle(make_foreground, look_in):
    """A function that starts one, and waits until it has looked and rests."""

    def start(*, is_found: bool = True, sleep: float = SELDOM, **bgtasks):
        from bgtasks.models import WorkerProcess

        process = make_foreground(**bgtasks)
        look_in(process.directory / ("run" if is_found else "nowhere"))
        process.start(sleep=sleep)
        wait_until(WorkerProcess.objects.exists, SLOW_MACHINE, "a first look")
        return process

    return start


def own_socket(process):
    return next((process.directory / "run").glob(f"wake-{process.pid}-*.sock"), None)


def test_it_is_woken_by_a_socket_of_its_own_which_goes_with_it(start_idle):
    process = start_idle()
    assert stat.S_IMODE(own_socket(process).stat().st_mode) == 0o660
    for number in range(3):
        tasks.quick.enqueue(number)
        process.wait_for("ran", number + 1)
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert not list((process.directory / "run").iterdir())


def test_it_clears_away_what_ended_without_a_word_and_nothing_else(make_foreground):
    process = make_foreground()
    place = process.directory / "run"
    place.mkdir(mode=0o700)
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(str(place / "wake-1.sock"))
    left.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as living:
        living.bind(str(place / "wake-2.sock"))
        (place / "wake.sock").touch()
        process.start()
        process.wait_until(lambda: own_socket(process) is not None, SLOW_MACHINE)
        names = {path.name for path in place.iterdir()}
    assert names == {"wake-2.sock", "wake.sock", own_socket(process).name}


def test_it_starts_tasks_on_time_also_its_own_retries(start_idle):
    process = start_idle(BACKOFF=1)
    task = tasks.quick.using(run_at=timedelta(seconds=2)).enqueue(1)
    process.wait_for("ran", 1)
    completed = wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), SLOW_MACHINE)
    assert completed.locked_at >= task.run_at
    tasks.fail_once.enqueue(2)
    process.wait_for("ran", 3)


@pytest.mark.skipif(VENDOR != "postgres", reason="only PostgreSQL tells other hosts")
def test_it_is_woken_by_the_database(start_idle):
    process = start_idle(is_found=False)
    process.wait_until(lambda: listening() == 1, SLOW_MACHINE, "a connection that listens")
    for number in range(3):
        tasks.quick.enqueue(number)
        process.wait_for("ran", number + 1)


@pytest.mark.skipif(VENDOR != "postgres", reason="only PostgreSQL tells other hosts")
def test_it_looks_for_what_was_enqueued_while_it_could_hear_nothing(start_idle, proxy):
    process = start_idle(is_found=False, LISTEN={"HOST": "127.0.0.1", "PORT": proxy.port})
    process.wait_until(lambda: listening() == 1, SLOW_MACHINE, "a connection that listens")
    proxy.cut()
    process.wait_until(lambda: listening() == 0, SLOW_MACHINE, "nobody who listens")
    tasks.quick.enqueue(1)
    proxy.open()
    process.wait_for("ran", 1)


def test_with_waking_off_it_has_no_socket_and_polls(start_idle):
    process = start_idle(sleep=0.5, WAKE=False)
    assert not (process.directory / "run").exists()
    tasks.quick.enqueue(1)
    process.wait_for("ran", 1)


def test_without_a_place_for_a_socket_it_polls(make_foreground, look_in):
    process = make_foreground()
    (process.directory / "run").write_text("a file, where a folder is wanted")
    look_in(process.directory / "run")
    process.start(sleep=0.5)
    tasks.quick.enqueue(1)
    process.wait_for("ran", 1)
