"""`bgtasksd top` in a real terminal, of tmux; and what it prints where there is none."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import uuid

import pytest

from bgtasks.models import CompletedTask, Queue
from bgtasksd.cli.glance import HINT
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
BROKEN = "import sys; from bgtasksd.cli import main, steering; steering.one_line = None; sys.exit(main())"
WITHOUT_RICH = "import sys; sys.modules['rich.console'] = None; from bgtasksd.cli import main; sys.exit(main())"


class Terminal:
    """A terminal of tmux with a shell in it."""

    def __init__(self, folder, environment):
        self.socket = folder / f"tmux-{uuid.uuid4().hex[:8]}"
        self.environment = {**environment, "PS1": "$ ", "TERM": "screen-256color", "LC_ALL": "C.UTF-8", "ENV": ""}
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "sh")
        wait_until(lambda: self.text.strip() != "", within=20, what="a prompt")

    def tmux(self, *arguments):
        command = ["tmux", "-u", "-S", str(self.socket), *arguments]
        told = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
        return told.stdout

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    @property
    def text(self):
        """What is on the screen."""
        return self.tmux("capture-pane", "-p")

    def ask(self, what):
        return self.tmux("display-message", "-p", f"#{{{what}}}").strip()

    @property
    def pane(self):
        return int(self.ask("pane_pid"))

    def wait_for(self, text, within=60):
        """Wait until this is on the screen."""
        try:
            wait_until(lambda: text in self.text, within)
        except AssertionError:
            raise AssertionError(f"{text!r} is not on the screen:\n{self.text}") from None

    def is_restored(self):
        """Tell whether the shell has its own screen, cursor, echo and line editing back."""
        state = [self.ask(what) for what in ("alternate_on", "cursor_flag", "wrap_flag")]
        return state == ["0", "1", "1"] and modes(self.ask("pane_tty")) >= {"icanon", "echo", "isig"}

    def close(self):
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], capture_output=True, check=False)


def modes(tty):
    told = subprocess.run(["stty", "-a", "-F", tty], capture_output=True, text=True, check=True).stdout
    return set(told.replace(";", " ").split())


@pytest.fixture
def make_terminal(tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("no tmux here")
    made = []

    def make(daemon):
        made.append(Terminal(tmp_path, daemon.environment()))
        return made[-1]

    yield make
    for each in made:
        each.close()


def top(daemon, *arguments, without_rich=False):
    """Return the command line of `top` on this daemon."""
    program = ["-c", WITHOUT_RICH] if without_rich else ["-m", "bgtasksd"]
    return shlex.join([sys.executable, *program, "top", *arguments, "--runtime-dir", str(daemon.runtime)])


def running(daemon):
    """Return the pid of the `top` that runs."""
    marked = [pid for pid in daemon.processes() if "top" in command_of(pid)]
    return marked[0] if marked else None


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:  # noqa: PTH123
            return file.read().split("\0")
    except OSError:
        return []


@pytest.mark.parametrize("without_rich", [False, True])
def test_it_shows_workers_and_queues_follows_a_resize_and_quits(make_daemon, make_terminal, without_rich):
    daemon = make_daemon(workers=2).start()
    tasks.hang()
    daemon.busy_worker("hang")
    terminal = make_terminal(daemon)
    terminal.type(top(daemon, "--interval", "200ms", without_rich=without_rich), "Enter")
    terminal.wait_for("tests.lifecycle.tasks.hang")
    terminal.wait_for("done/s")
    first, *others, last = terminal.text.rstrip().splitlines()
    assert first.startswith("● bgtasksd ")
    assert others[0].startswith("  2/2 workers up, 1 busy")
    assert last.startswith(" p pause or resume a queue")
    assert any(HINT in line for line in others) is without_rich
    follow_resizes(terminal)
    terminal.type("q")
    wait_until(terminal.is_restored, within=20)
    terminal.type("echo code $?", "Enter")
    terminal.wait_for("code 0")


def follow_resizes(terminal):
    """Make it tiny, then wide: first and last line are there, and all else that has room."""
    terminal.tmux("resize-window", "-x", "40", "-y", "6")
    wait_until(lambda: len(terminal.text.splitlines()) == 6 and "p pause" in terminal.text.splitlines()[5], within=20)
    assert terminal.text.startswith("● bgtasksd ")
    terminal.tmux("resize-window", "-x", "120", "-y", "20")
    terminal.wait_for("last exit")


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM", "SIGHUP", "an exception"])
def test_the_terminal_is_restored_on_every_way_out(make_daemon, make_terminal, way):
    daemon = make_daemon(workers=1).start()
    terminal = make_terminal(daemon)
    command = top(daemon, "--interval", "200ms")
    if way == "an exception":
        command = shlex.join([sys.executable, "-c", BROKEN, "top", "--runtime-dir", str(daemon.runtime)])
    terminal.type(command, "Enter")
    wait_until(lambda: "workers up" in terminal.text and terminal.ask("alternate_on") == "1", within=30)
    if way == "Ctrl-C":
        terminal.type("C-c")
    elif way == "an exception":
        terminal.type("k", "x", "Enter")
    else:
        os.kill(running(daemon), getattr(signal, way))
    wait_until(terminal.is_restored, within=20)
    codes = {"Ctrl-C": 130, "SIGTERM": 143, "SIGHUP": 129, "an exception": 1}
    terminal.type("echo code $?", "Enter")
    terminal.wait_for(f"code {codes[way]}")


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(make_daemon, make_terminal):
    daemon = make_daemon(workers=1).start()
    terminal = make_terminal(daemon)
    terminal.type(top(daemon), "Enter")
    terminal.wait_for("workers up")
    terminal.type("C-z")
    wait_until(terminal.is_restored, within=20)
    terminal.type("clear; echo hel''lo", "Enter")
    terminal.wait_for("hello")
    terminal.type("fg", "Enter")
    wait_until(lambda: "workers up" in terminal.text and "hello" not in terminal.text, within=20)
    terminal.type("q")
    wait_until(terminal.is_restored, within=20)


def test_keys_pause_a_queue_and_ask_before_they_kill(make_daemon, make_terminal):
    daemon = make_daemon(workers=1).start()
    tasks.hang()
    worker = daemon.busy_worker("hang")
    terminal = make_terminal(daemon)
    terminal.type(f"cd {daemon.directory}; " + top(daemon, "--interval", "300ms"), "Enter")
    terminal.wait_for("tasks.hang")
    terminal.type("p", "default", "Enter")
    terminal.wait_for("PAUSED")
    terminal.type("k", "1", "Enter")
    terminal.wait_for(f"kill the worker of slot 1, pid {worker['pid']}")
    terminal.type("n", "Enter")
    terminal.wait_for("p pause or resume")
    assert daemon.worker(1)["pid"] == worker["pid"]
    terminal.type("r", "x", "Enter")
    terminal.wait_for("'x' is no slot")
    terminal.type("k", "1", "Enter", "y", "Enter")
    terminal.wait_for("kill: accepted")
    wait_until(lambda: daemon.worker(1)["pid"] not in (worker["pid"], None), within=20)
    terminal.type("q")
    wait_until(terminal.is_restored, within=20)


def test_the_key_that_has_paused_a_queue_resumes_it_before_the_figures_of_an_idle_daemon_know(
    make_daemon, make_terminal
):
    daemon = make_daemon(workers=1).start()
    task = tasks.quick(1)
    wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).exists(), within=20)
    terminal = make_terminal(daemon)
    terminal.type(f"cd {daemon.directory}; " + top(daemon, "--interval", "300ms"), "Enter")
    terminal.wait_for("workers up")
    for verb, is_paused in (("pause", True), ("resume", False)):
        terminal.type("p", "default", "Enter")
        terminal.wait_for(f"bgtasksd {verb} ")
        wait_until(lambda wanted=is_paused: Queue.objects.get(name="default").is_paused() is wanted, within=30)
        terminal.wait_for("p pause or resume")  # what it said is over: the errand was heard
    terminal.type("q")
    wait_until(terminal.is_restored, within=20)


def test_little_is_written_when_little_changes(make_daemon):
    daemon = make_daemon(workers=2).start()
    controller, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = shlex.split(top(daemon, "--interval", "100ms"))
    program = subprocess.Popen(command, env=daemon.environment(), stdin=terminal, stdout=terminal)
    os.close(terminal)
    sizes = []
    try:
        while len(sizes) < 12 and select.select([controller], [], [], 20)[0]:
            sizes.append(len(os.read(controller, 65536)))
    finally:
        os.write(controller, b"q")
        program.wait(20)
        os.close(controller)
    assert sorted(sizes[2:])[5] < 600, f"bytes a look, for a screen of 2,000: {sizes}"


def test_without_a_terminal_it_prints_one_look_after_the_other(make_daemon):
    daemon = make_daemon(workers=1).start()
    looks = daemon.command("top", "-n", "2", "--interval", "100ms")
    assert looks.returncode == 0
    assert looks.stdout.count("1/1 workers up") == 2
    assert "\x1b" not in looks.stdout
    assert daemon.command("top", "--json").returncode == 2
    shell = f"{top(daemon, '--interval', '100ms')} | head -1"
    pipes = {"env": daemon.environment(), "capture_output": True, "text": True, "timeout": 60}
    ended = subprocess.run(["sh", "-c", shell], check=False, **pipes)
    assert (ended.stderr, ended.stdout.count("\n")) == ("", 1)
    daemon.end()
    assert daemon.command("top", "-n", "1").returncode == 3
