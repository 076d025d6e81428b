"""The shipped units: systemd itself reads them, offline, in a staged root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "systemd"
UNITS = ("bgtasksd.service", "bgtasksd@.service", "bgtasksd.target")
STUBS = ("basic", "sysinit", "shutdown", "multi-user", "default", "network-online", "network", "umount")
WORST_EXPOSURE = 15
"""Tenths."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


@pytest.fixture
def stage(tmp_path) -> Iterator[Path]:
    """Return a root with our units, a stub of the program and of every unit that ours name."""
    units = tmp_path / "usr" / "lib" / "systemd" / "system"
    units.mkdir(parents=True)
    for name in STUBS:
        (units / f"{name}.target").write_text("[Unit]\nDescription=stub\n")
    for name in UNITS:
        shutil.copy(SHIPPED / name, units)
    (tmp_path / "etc").mkdir()
    program = tmp_path / "usr" / "bin" / "bgtasksd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)


def verify(stage: Path, *units: str) -> subprocess.CompletedProcess[str]:
    return run("systemd-analyze", "verify", "--man=no", "--recursive-errors=one", f"--root={stage}", *units)


@pytest.mark.parametrize("unit", ["bgtasksd.service", "bgtasksd@shop.service", "bgtasksd.target"])
def test_the_unit_has_no_error_and_no_warning(stage, unit) -> None:
    verified = verify(stage, unit)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_check_would_notice_a_misspelt_directive(stage) -> None:
    path = stage / "usr" / "lib" / "systemd" / "system" / "bgtasksd.service"
    path.write_text(path.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert verify(stage, "bgtasksd.service").returncode != 0


def test_the_units_of_a_users_own_manager_are_right(stage) -> None:
    """`verify --user` does not know a root: the unit is checked as a system unit, with its paths made absolute."""
    text = (SHIPPED / "user" / "bgtasksd.service").read_text()
    text = text.replace("%h/.local/bin/bgtasksd", "/usr/bin/bgtasksd")
    (stage / "usr" / "lib" / "systemd" / "system" / "bgtasksd-user.service").write_text(text)
    verified = verify(stage, "bgtasksd-user.service")
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", ["bgtasksd.service", "bgtasksd@.service"])
def test_the_exposure_is_low(unit) -> None:
    analysed = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", "--no-pager", SHIPPED / unit
    )
    assert analysed.returncode == 0, analysed.stdout[-300:]


def test_both_units_differ_only_in_what_an_instance_needs() -> None:
    one, many = (directives(SHIPPED / name) for name in UNITS[:2])
    assert {line.partition("=")[0] for line in one ^ many} == {
        "Description", "EnvironmentFile", "ExecStart", "RuntimeDirectory", "StateDirectory", "PartOf", "WantedBy",
    }  # fmt: skip
    assert "ExecStart=/usr/bin/bgtasksd start --instance=%i" in many


def directives(path: Path) -> set[str]:
    return {line for line in path.read_text().splitlines() if "=" in line and not line.startswith("#")}


@pytest.mark.parametrize("unit", ["bgtasksd.service", "bgtasksd@.service", "user/bgtasksd.service"])
def test_what_the_daemon_counts_on_is_said(unit) -> None:
    said = directives(SHIPPED / unit)
    assert {
        "Type=notify", "NotifyAccess=main", "KillMode=mixed", "OOMPolicy=continue", "WatchdogSec=30s",
        "RestartPreventExitStatus=2 73 78", "Restart=on-failure", "TimeoutStopSec=90s",
    } <= said  # fmt: skip
    assert not any(line.startswith(("ProcSubset=", "Requires=")) for line in said)


def test_the_user_is_made(stage) -> None:
    made = run("systemd-sysusers", f"--root={stage}", SHIPPED / "sysusers.d" / "bgtasksd.conf")
    assert made.returncode == 0, made.stderr
    assert "bgtasks:x:" in (stage / "etc" / "passwd").read_text()
    assert ":/var/lib/bgtasksd:/usr/sbin/nologin" in (stage / "etc" / "passwd").read_text()


def test_the_directories_are_made(stage) -> None:
    run("systemd-sysusers", f"--root={stage}", SHIPPED / "sysusers.d" / "bgtasksd.conf")
    (stage / "usr" / "lib" / "tmpfiles.d").mkdir()
    shutil.copy(SHIPPED / "tmpfiles.d" / "bgtasksd.conf", stage / "usr" / "lib" / "tmpfiles.d")
    made = run("systemd-tmpfiles", "--create", f"--root={stage}")
    if "Operation not permitted" in made.stderr:
        pytest.skip("only root can give directories away")
    assert made.returncode == 0, made.stderr
    for name in ("etc/bgtasksd", "run/bgtasksd"):
        assert (stage / name).stat().st_mode & 0o777 == 0o750


def test_the_environment_file_names_options_that_exist() -> None:
    from bgtasksd.options import TABLE

    text = (SHIPPED / "default" / "bgtasksd").read_text()
    named = {line[1:].partition("=")[0] for line in text.splitlines() if line.startswith("#BGTASKSD_")}
    assert named
    assert named <= {option.variable for option in TABLE}
