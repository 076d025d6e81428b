"""A real `systemd --user` of the tests' own: in its own mount namespace and control group, whatever process 1 is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.daemon import Daemon
from tests.waiting import wait_until

PROGRAMS = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
HIERARCHIES = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
"""Where control groups that systemd keeps its units in may be mounted: v2 alone, v1, v1 with v2 beside it."""
IN_ITS_NAMESPACE = """
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system || exit 1
ln -s "$XDG_RUNTIME_DIR/systemd/inaccessible" /run/systemd/inaccessible
for group in $GROUPS_OF_THE_TEST; do echo $$ >"$group/init/cgroup.procs" || exit 1; done
exec "$0" --user
"""
"""systemd runs only where /run/systemd/system says that it has booted the machine: nobody else is to see that.
Sandboxes cover with `inaccessible` what they hide: root looks for it there, the manager makes it elsewhere."""


def why_not() -> str:
    """Return why no manager can be started here; empty: it can."""
    if program() is None or shutil.which("systemctl") is None:
        return "systemd is not installed"
    if os.geteuid() != 0:
        return "only root can start a manager of its own"
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"no mount namespace can be made here: {tried.stderr.strip()}"
    if not hierarchies():
        return "no control groups can be made here"
    return ""


def program() -> str | None:
    return next((path for path in PROGRAMS if Path(path).exists()), None)


def hierarchies() -> list[Path]:
    """Return the mounted hierarchies in which groups with processes can be made."""
    return [path for path in map(Path, HIERARCHIES) if (path / "cgroup.procs").exists() and os.access(path, os.W_OK)]


class Manager:
    """One `systemd --user`, and `systemctl` for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runtime = directory / "run"
        self.units = directory / "config" / "systemd" / "user"
        self.log_file = directory / "manager.log"
        self.groups = [path / f"bgtasksd-test-{os.getpid()}-{directory.name}" for path in hierarchies()]
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        """Return what the manager and its clients find each other by."""
        return {
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "SYSTEMD_UNIT_PATH": f"{self.units}:/usr/lib/systemd/user:/lib/systemd/user",
            "SYSTEMD_LOG_TARGET": "console",
            "SYSTEMD_PAGER": "",
            "DBUS_SESSION_BUS_ADDRESS": "",
        }

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.runtime.mkdir(mode=0o700)
        self.units.mkdir(parents=True)
        for group in self.groups:
            (group / "init").mkdir(parents=True)
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_ITS_NAMESPACE, str(program())],
                env={**os.environ, **self.environment(), "GROUPS_OF_THE_TEST": " ".join(map(str, self.groups))},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        Daemon.not_adopted.add(self.process.pid)
        wait_until(self._is_up, 20, "a manager that answers")

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        return self.systemctl("show", "--value", "--property=SystemState", check=False).stdout.strip() == "running"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `systemctl --user` on it."""
        done = subprocess.run(
            ["systemctl", "--user", *arguments],
            env={**os.environ, **self.environment()}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{arguments}: {done.stderr}\n{self.log[-2000:]}"
        return done

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit).stdout.strip()

    def group_processes(self, unit: str) -> list[int]:
        """Return the processes in the control group of a unit, in those below it, too."""
        path = self.show(unit, "ControlGroup")
        found: set[int] = set()
        for hierarchy in hierarchies() if path else ():
            for file in (hierarchy / path.lstrip("/")).rglob("cgroup.procs"):
                with contextlib.suppress(OSError):  # it has just gone
                    found.update(int(pid) for pid in file.read_text().split())
        return sorted(found)

    def close(self) -> None:
        """End it with all its units, and remove its control groups."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # it stops every unit, then ends
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        for group in self.groups:
            self._remove(group)

    def _remove(self, group: Path) -> None:
        for file in group.rglob("cgroup.procs"):
            for pid in file.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)  # in our own group: left by a manager that was killed
        deadline = time.monotonic() + 5
        for path in [*sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True), group]:
            while path.exists() and time.monotonic() < deadline:
                try:
                    path.rmdir()
                except OSError:
                    time.sleep(0.02)


@contextlib.contextmanager
def a_manager() -> Iterator[Manager]:
    """Yield a manager that runs; its paths are short, because sockets lie in them."""
    with tempfile.TemporaryDirectory(prefix="bgtasks-systemd-") as directory:
        manager = Manager(Path(directory))
        try:
            manager.start()
            yield manager
        finally:
            manager.close()
