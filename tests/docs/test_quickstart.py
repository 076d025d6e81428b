"""The quickstart and the README's first steps: run as they stand, in a new environment, in an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]
OURS = ("DJANGO_", "BGTASKS", "PYTHON", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a wheel of this checkout."""
    folder, source = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")
    for name in ("bgtasks", "bgtasksd", "systemd"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    built = subprocess.run(pip, capture_output=True, text=True, check=False)
    if built.returncode and os.environ.get("CI") != "true":
        pytest.skip("no wheel can be built: the package index does not answer")
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new virtual environment; the page that is followed first installs into it."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=True)
    return folder


class Shell:
    """A terminal in an empty folder, with a virtual environment of its own; the daemon gets its own terminal."""

    def __init__(self, folder: Path, environment: Path, wheel: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        self.environment |= {
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PIP_FIND_LINKS": f"{wheel} {os.environ.get('PIP_FIND_LINKS', '')}".strip(),
            "PYTHONUNBUFFERED": "1",
        }
        self.daemon: subprocess.Popen[bytes] | None = None
        self.printed = ""

    def follow(self, block: Block) -> None:
        """Do what a block says: write its file, or type its commands."""
        if block.language == "python":
            path = self.folder / block.text.partition("\n")[0].removeprefix("# ")
            with path.open("a") as file:
                file.write("\n" + block.text)
            return
        for line in block.text.splitlines():
            if line.startswith("$ "):
                self.type(line.removeprefix("$ "))

    def type(self, command: str) -> None:
        """Run one command; `bgtasksd start` stays, and everything after it waits until it is up."""
        if command.startswith("make "):
            return  # CI runs these themselves
        if command.startswith("bgtasksd start"):
            log = (self.folder / "daemon.log").open("wb")
            with log:
                self.daemon = subprocess.Popen(
                    command.split(), cwd=self.folder, env=self.environment, stdout=log, stderr=log
                )
            wait_until(lambda: "ready" in self.daemon_log(), within=60, what="the daemon's word that it is ready")
            return
        ran = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        self.printed += f"$ {command}\n{ran.stdout}{ran.stderr}"
        assert ran.returncode == 0, f"{command}: exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}\n{self.daemon_log()}"

    def daemon_log(self) -> str:
        """Return what the daemon printed so far."""
        path = self.folder / "daemon.log"
        return path.read_text() if path.exists() else ""

    def end(self) -> None:
        """Leave no daemon behind."""
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(90)


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, environment: Path, wheel: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("qs"), environment, wheel)
    yield shell
    shell.end()


def steps(page: str, first: str, last: str = "") -> list[Block]:
    """Return the blocks between two headings, those before the first of them left out."""
    path = ROOT / page
    lines = path.read_text().splitlines()
    start = lines.index(first) + 1
    end = lines.index(last) if last else len(lines)
    return [block for block in blocks(path, "python", "console") if start <= block.line <= end]


def test_the_readme_leads_from_nothing_to_a_running_task(shell: Shell) -> None:
    for block in steps("README.md", "## In a project", "## What it promises"):
        shell.follow(block)
    assert "receipt for order 17" in shell.printed
    assert shell.daemon is not None
    assert shell.daemon.wait(30) == 0


def test_the_quickstart_works_as_it_stands(shell: Shell) -> None:
    for block in steps("docs/quickstart.md", "# Quickstart"):
        shell.follow(block)
    assert "receipt for order 17" in shell.printed
    assert "not a secure source" in shell.printed
    assert "['builtins.ValueError'" in shell.printed
    assert shell.daemon is not None
    assert shell.daemon.wait(30) == 0
