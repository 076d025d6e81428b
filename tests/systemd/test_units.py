"""The shipped units: systemd itself reads them, offline, in a staged root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "systemd"
UNITS = (
    *("bgtasksd.service", "bgtasksd@.service", "bgtasksd.target"),
    *(f"bgtasksd-healthcheck{at}.{kind}" for at in ("", "@") for kind in ("service", "timer")),
)
DROP_INS = ("10-hardened", "20-notify-reload", "30-memory", "40-delegate")
STUBS = ("basic", "sysinit", "shutdown", "multi-user", "default", "network-online", "network", "umount", "timers")
WORST_EXPOSURE = {"": 15, "10-hardened": 10, "40-delegate": 16}
"""Tenths, of a daemon with this drop-in."""
WORST_EXPOSURE_OF_A_CHECK = 10

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


def drop_in(stage: Path, name: str, unit: str = "bgtasksd.service") -> None:
    directory = stage / "usr" / "lib" / "systemd" / "system" / f"{unit}.d"
    directory.mkdir()
    shutil.copy(SHIPPED / "drop-ins" / f"{name}.conf", directory)


def exposure_is_at_most(stage: Path, tenths: int, unit: str) -> subprocess.CompletedProcess[str]:
    return run(
        "systemd-analyze", "security", "--offline=true", f"--root={stage}", f"--threshold={tenths}", "--no-pager", unit
    )


@pytest.mark.parametrize("unit", [name.replace("@.", "@shop.") for name in UNITS])
def test_the_unit_has_no_error_and_no_warning(stage, unit) -> None:
    verified = verify(stage, unit)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_check_would_notice_a_misspelt_directive(stage) -> None:
    path = stage / "usr" / "lib" / "systemd" / "system" / "bgtasksd.service"
    path.write_text(path.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert verify(stage, "bgtasksd.service").returncode != 0


@pytest.mark.parametrize("unit", ["bgtasksd.service", "bgtasksd@.service"])
def test_the_units_of_a_users_own_manager_are_right(stage, unit) -> None:
    """`verify --user` does not know a root: the unit is checked as a system unit, with its paths made absolute."""
    text = (SHIPPED / "user" / unit).read_text()
    text = text.replace("%h/.local/bin/bgtasksd", "/usr/bin/bgtasksd")
    unit = unit.replace("bgtasksd", "bgtasksd-user")
    (stage / "usr" / "lib" / "systemd" / "system" / unit).write_text(text)
    verified = verify(stage, unit.replace("@.", "@shop."))
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("name", DROP_INS)
def test_the_drop_in_has_no_error_and_no_warning(stage, name) -> None:
    if name == "20-notify-reload" and systemd_version() < 253:
        pytest.skip("Type=notify-reload needs systemd 253")
    drop_in(stage, name)
    verified = verify(stage, "bgtasksd.service")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_drop_in_for_newer_systemds_has_nothing_else_that_an_older_one_does_not_know(stage) -> None:
    drop_in(stage, "20-notify-reload")
    said = verify(stage, "bgtasksd.service").stderr.splitlines()
    assert all("notify-reload" in line for line in said)


def systemd_version() -> int:
    return int(run("systemd-analyze", "--version").stdout.split()[1].partition(".")[0])


@pytest.mark.parametrize("unit", ["bgtasksd.service", "bgtasksd@.service"])
@pytest.mark.parametrize("name", WORST_EXPOSURE)
def test_the_exposure_is_low(stage, unit, name) -> None:
    if name:
        drop_in(stage, name, unit)
    analysed = exposure_is_at_most(stage, WORST_EXPOSURE[name], unit)
    assert analysed.returncode == 0, analysed.stdout[-300:] + analysed.stderr


@pytest.mark.parametrize("unit", ["bgtasksd-healthcheck.service", "bgtasksd-healthcheck@.service"])
def test_the_exposure_of_a_check_is_lower_still(stage, unit) -> None:
    analysed = exposure_is_at_most(stage, WORST_EXPOSURE_OF_A_CHECK, unit)
    assert analysed.returncode == 0, analysed.stdout[-300:] + analysed.stderr


def test_the_exposure_would_be_noticed_if_it_rose(stage) -> None:
    path = stage / "usr" / "lib" / "systemd" / "system" / "bgtasksd.service"
    path.write_text(path.read_text().replace("NoNewPrivileges=yes", "NoNewPrivileges=no"))
    assert exposure_is_at_most(stage, WORST_EXPOSURE[""], "bgtasksd.service").returncode != 0


def test_both_units_differ_only_in_what_an_instance_needs() -> None:
    one, many = (directives(SHIPPED / name) for name in UNITS[:2])
    assert {line.partition("=")[0] for line in one ^ many} == {
        "Description", "EnvironmentFile", "ExecStart", "ExecReload", "RuntimeDirectory", "StateDirectory",
        "PartOf", "WantedBy",
    }  # fmt: skip
    assert "ExecStart=/usr/bin/bgtasksd start --instance=%i" in many


@pytest.mark.parametrize("unit", ["bgtasksd.service", "bgtasksd@.service", "user/bgtasksd.service"])
def test_a_reload_is_waited_for(unit) -> None:
    (reload,) = (line for line in directives(SHIPPED / unit) if line.startswith("ExecReload="))
    assert reload.endswith(("reload --wait --timeout=60", "reload --instance=%i --wait --timeout=60"))


def test_the_checks_differ_only_in_what_an_instance_needs() -> None:
    one, many = (directives(SHIPPED / f"bgtasksd-healthcheck{at}.service") for at in ("", "@"))
    names = {line.partition("=")[0] for line in one ^ many}
    assert names == {"Description", "EnvironmentFile", "ExecStart", "Requisite", "After"}


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


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="no logrotate here")
def test_the_rotation_of_logs_is_understood(tmp_path) -> None:
    text = (SHIPPED / "logrotate.d" / "bgtasksd").read_text().replace("/var/log/bgtasksd", str(tmp_path))
    (tmp_path / "rotate").write_text(text.replace("su bgtasks bgtasks", ""))
    understood = run("logrotate", "--debug", tmp_path / "rotate")
    assert understood.returncode == 0, understood.stderr
    assert "error" not in understood.stderr


def test_the_environment_file_names_options_that_exist() -> None:
    from bgtasksd.option_table import TABLE

    text = (SHIPPED / "default" / "bgtasksd").read_text()
    named = {line[1:].partition("=")[0] for line in text.splitlines() if line.startswith("#BGTASKSD_")}
    assert named
    assert named <= {option.variable for option in TABLE}
