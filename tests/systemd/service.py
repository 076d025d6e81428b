"""The daemon as a service of a real manager: installed by its own command, with the tests' short times in a drop-in."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile

from tests.daemon import MARK, Daemon
from tests.systemd.manager import Manager
from tests.waiting import wait_until

UNIT = "bgtasksd.service"
OUTSIDE_OF_THE_SANDBOX = ("User=", "Group=", "PrivateTmp=no", "ProtectHome=read-only", "OOMScoreAdjust=0")
"""What tests need: files of theirs in the temporary directory, an interpreter in a home, an unprivileged machine."""
SHORT = ("WatchdogSec=20s", "TimeoutStopSec=20s", "TimeoutAbortSec=5s", "RestartSec=100ms")


class Service:
    """`daemon` is its project, its ledger and its clients; systemd starts and ends it."""

    def __init__(self, manager: Manager, daemon: Daemon) -> None:
        self.manager = manager
        self.daemon = daemon
        daemon.runtime.rmdir()
        daemon.runtime = manager.runtime / "bgtasksd"

    def environment(self) -> dict[str, str]:
        return {**self.daemon.environment(), **self.manager.environment(), MARK: self.daemon.mark}

    def install(self, *arguments: str) -> None:
        """Have the unit written by the command that people use."""
        command = [sys.executable, "-m", "bgtasksd", "install-systemd", "--force", *(arguments or ("--user",))]
        subprocess.run(command, env=self.environment(), cwd=self.daemon.directory, check=True, capture_output=True)
        self.configure()

    def install_sandboxed(self, *parts: str) -> None:
        """Have the units of a system written, and let the user's manager run them: with everything but the account."""
        root = self.daemon.directory / "root"
        with_parts = [word for part in parts for word in ("--with", part)]
        self.install("--root", str(root), *with_parts)
        for path in (root / "etc/systemd/system").rglob("*"):
            there = self.manager.units / path.relative_to(root / "etc/systemd/system")
            if path.is_file():
                there.parent.mkdir(exist_ok=True)
                there.write_text(path.read_text())
        for path in self.manager.units.glob("*.service"):
            self.configure(*OUTSIDE_OF_THE_SANDBOX, f"ReadWritePaths={self.writable()}", unit=path.name)

    def writable(self) -> str:
        """Return the folders that the test's daemon and its database write to."""
        return f"{self.daemon.directory} {self.manager.runtime} {tempfile.gettempdir()}"

    def configure(self, *lines: str, unit: str = UNIT) -> None:
        """Add these lines to the service section, and the environment of the test."""
        kept = ("PYTHON", "BGTASKS", MARK, "DJANGO_SETTINGS_MODULE", "PG", "MYSQL", "XDG_RUNTIME_DIR", "PATH")
        environment = {name: value for name, value in self.environment().items() if name.startswith(kept)}
        text = [
            "[Service]",
            f"StandardOutput=append:{self.daemon.log_file}",
            f"StandardError=append:{self.daemon.log_file}",
            *(f'Environment="{name}={value}"' for name, value in environment.items()),
            f"Environment=BGTASKSD_WORKERS={self.daemon.workers}",
            *(SHORT if unit == UNIT else ()),
            *lines,
        ]
        path = self.manager.units / f"{unit}.d" / "90-test.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(text) + "\n")
        self.manager.systemctl("daemon-reload")

    def start(self) -> int:
        """Start it, as people do: it returns when every worker is up."""
        done = self.manager.systemctl("start", UNIT, check=False)
        assert done.returncode == 0, f"{done.stderr}exit code {self.show('ExecMainStatus')}; log:\n{self.daemon.log}"
        wait_until(lambda: self.daemon.is_ready, 20, f"ready; log:\n{self.daemon.log}")
        return self.pid

    def stop(self) -> None:
        self.manager.systemctl("stop", UNIT)

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    def show(self, name: str) -> str:
        return self.manager.show(UNIT, name)

    def processes(self) -> list[int]:
        return self.manager.group_processes(UNIT)

    def wait_for(self, name: str, value: str, within: float = 20) -> None:
        """Wait until a property has a value."""
        wait_until(
            lambda: self.show(name) == value, within, f"{name}={value}, not {self.show(name)}:\n{self.daemon.log}"
        )

    def close(self) -> None:
        """Stop it, forget how it ended, and take everything out of the manager's units."""
        self.manager.systemctl("kill", "--signal=KILL", UNIT, check=False)
        self.manager.systemctl("stop", *self.units(), check=False)
        for path in self.manager.units.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.manager.systemctl("daemon-reload")
        self.manager.systemctl("reset-failed", check=False)
        shutil.rmtree(self.daemon.runtime, ignore_errors=True)

    def units(self) -> list[str]:
        return [path.name for path in self.manager.units.iterdir() if path.is_file()] or [UNIT]
