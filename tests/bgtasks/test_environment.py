"""What tasks leave behind in their process is found between tasks, put back and named (F18, F24)."""

from __future__ import annotations

import io
import locale
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import timeit
import warnings
from pathlib import Path

import pytest

from bgtasks.descriptors import Descriptors
from bgtasks.environment import Environment
from bgtasks.forks import shielding_children

pytestmark = pytest.mark.timeout(method="thread")  # the other way is SIGALRM, which these tests use themselves


@pytest.fixture(autouse=True)
def _put_back():
    """Put this process back after the test, whatever it did."""
    before = Environment()
    yield
    before.restore()


def test_f18_handlers_mask_and_wakeup_descriptor_are_put_back():
    environment = Environment()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1)}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    assert environment.restore() == ["signals"]
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.set_wakeup_fd(-1) == -1
    assert environment.restore() == []
    assert environment.damage == []
    os.close(reader)
    os.close(writer)


def test_f18_a_timer_left_running_is_stopped():
    environment = Environment()
    signal.setitimer(signal.ITIMER_REAL, 1000)
    assert environment.restore() == ["timer"]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_f24_a_removed_working_directory_is_left(tmp_path):
    environment = Environment()
    before = Path.cwd()
    (tmp_path / "here").mkdir()
    os.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    assert environment.restore() == ["working directory"]
    assert Path.cwd() == before


def test_f24_umask_variables_path_and_locale_are_put_back():
    environment = Environment()
    before = os.environ.get("HOME")
    mask = os.umask(0o077)
    os.umask(mask)
    os.umask(0)
    os.environ["HOME"] = "/elsewhere"
    os.environ["BGTASKS_LEFT_BEHIND"] = "yes"
    sys.path.insert(0, "/nowhere")
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")
    assert environment.restore() == ["umask", "environment variables", "sys.path", "locale"]
    assert os.environ.get("HOME") == before
    assert "BGTASKS_LEFT_BEHIND" not in os.environ
    assert sys.path[0] != "/nowhere"
    assert os.umask(mask) == mask
    seen_by_a_child = subprocess.check_output([sys.executable, "-c", "import os; print(os.environ.get('HOME'))"])
    assert seen_by_a_child.decode().strip() == str(before)


def test_f24_a_soft_limit_is_raised_again():
    environment = Environment()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, hard))
    assert environment.restore() == ["resource limits"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_replaced_streams_are_put_back():
    environment = Environment()
    before = sys.stdout, sys.stderr
    sys.stdout = io.StringIO()
    sys.stderr = None
    assert environment.restore() == ["standard streams"]
    assert (sys.stdout, sys.stderr) == before


def test_a_descriptor_that_the_loop_needs_is_watched_too():
    reading, writing = os.pipe()
    environment = Environment((reading, writing))
    assert environment.restore() == []
    os.dup2(1, writing)
    assert environment.restore() == ["descriptors"]
    assert environment.damage == ["descriptors"]
    os.close(reading)
    os.close(writing)


def test_what_cannot_be_put_back_is_damage():
    """In a process of its own: it could not be put right again here."""
    script = """if True:
        import os, resource, tempfile
        from bgtasks.environment import Environment
        folder = tempfile.mkdtemp(); os.chdir(folder)
        environment = Environment()
        os.rmdir(folder); os.mkdir(folder)
        if environment.restore() != []: raise SystemExit("a directory removed by others is no damage")
        os.chdir("/")
        os.rmdir(folder)
        os.close(0)
        environment.restore()
        print(sorted(set(environment.damage)))
        """
    found = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, stdin=subprocess.DEVNULL)
    assert found.stdout.decode().strip() == "['descriptors', 'working directory']"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody who cannot raise a hard limit")
def test_a_lowered_hard_limit_is_damage_for_an_ordinary_user():
    script = """if True:
        import os, resource
        from bgtasks.environment import Environment
        os.setuid(65534)
        environment = Environment()
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
        assert environment.restore() == ["resource limits"]
        print(environment.damage)
        """
    found = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert found.stdout.decode().strip() == "['resource limits']"


def test_threads_that_tasks_left_are_found():
    environment = Environment()
    assert environment.new_threads() == []
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="left behind")
    thread.start()
    assert environment.new_threads() == [thread]
    stop.set()
    thread.join()
    assert environment.new_threads() == []


def test_in_another_thread_nothing_is_restored():
    found = []

    def look():
        environment = Environment()
        os.environ["BGTASKS_OF_THE_MAIN_THREAD"] = "1"
        found.append(environment.restore())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [[]]
    assert os.environ.pop("BGTASKS_OF_THE_MAIN_THREAD") == "1"


def test_a_copy_made_by_fork_is_told_from_the_process():
    environment = Environment()
    assert not environment.is_a_copy()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the thread is that of the test runner
        child = os.fork()
    if child == 0:
        os._exit(3 if environment.is_a_copy() else 4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_a_look_costs_little():
    environment = Environment()
    best = min(timeit.repeat(environment.restore, number=200, repeat=20)) / 200
    assert best < 100e-6, f"{best * 1e6:.0f} µs"


def test_f21_what_a_task_forks_has_ordinary_signals_from_its_first_moment():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.signal(signal.SIGTERM, lambda *_: None), signal.set_wakeup_fd(writer)
    try:
        with shielding_children(Environment().handlers):
            codes = [_end_a_child() for _ in range(20)]
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.set_wakeup_fd(before[1])
        os.close(reader)
        os.close(writer)
    assert codes == [-signal.SIGTERM] * 20


def _end_a_child():
    """Fork a child that sleeps, send it SIGTERM at once, and return how it ended."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = os.fork()
    if child == 0:
        try:
            time.sleep(60)
        finally:
            os._exit(0)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def pipe():
    """Return the descriptors of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_descriptor_opened_anew_on_the_same_file_is_unchanged_and_on_another_one_is_not(pipe):
    descriptors = Descriptors(pipe)
    again = os.open(f"/dev/fd/{pipe[1]}", os.O_WRONLY)
    os.dup2(again, pipe[1])
    os.close(again)
    assert descriptors.are_unchanged()
    with Path(os.devnull).open("wb") as other:
        os.dup2(other.fileno(), pipe[1])
    assert not descriptors.are_unchanged()


def test_a_task_that_closes_what_witnesses_for_the_descriptors_hides_nothing(pipe):
    descriptors = Descriptors(pipe)
    if descriptors._witness is not None:
        os.close(descriptors._witness.fileno())
    assert descriptors.are_unchanged()
    with Path(os.devnull).open("wb") as other:
        os.dup2(other.fileno(), pipe[0])
    assert not descriptors.are_unchanged()
