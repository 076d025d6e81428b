"""`install-systemd`: the shipped units with this virtual environment and project, never over a change."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bgtasksd.cli import main
from bgtasksd.cli.unit_files import PARTS, SHIPPED, adapted, obstacles, program, quoted
from bgtasksd.project import Project
from tests.bgtasksd.test_cli import Run, project, run  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]
SYSTEM = Path("etc/systemd/system")


@pytest.fixture
def install(run, project, tmp_path_factory):  # noqa: F811 - the fixtures
    root = tmp_path_factory.mktemp("root")

    def install(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return run("install-systemd", "--root", str(root), *arguments, **environ)

    install.root = root
    return install


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_the_service_starts_this_program_on_this_project(install, project) -> None:  # noqa: F811
    done = install()
    assert done.returncode == 0, done.stderr
    unit = (install.root / SYSTEM / "bgtasksd.service").read_text().splitlines()
    called = " ".join(program())
    assert f"ExecStart={called} start" in unit
    assert f"ExecReload={called} reload --wait --timeout=60" in unit
    assert f"WorkingDirectory={project}" in unit
    assert unit.index("Environment=DJANGO_SETTINGS_MODULE=shop.settings") < unit.index(
        "EnvironmentFile=-/etc/default/bgtasksd"
    ), "the file wins"
    assert files(install.root) == {
        *("etc/systemd/system/bgtasksd.service", "etc/default/bgtasksd", "usr/local/share/man/man8/bgtasksd.8"),
        *("etc/sysusers.d/bgtasksd.conf", "etc/tmpfiles.d/bgtasksd.conf"),
    }
    assert (install.root / "etc/default/bgtasksd").stat().st_mode & 0o777 == 0o640


def test_what_has_to_be_typed_next_is_said(install) -> None:
    said = install("--instance", "shop", "--with", "healthcheck").stdout
    assert "systemctl daemon-reload" in said
    assert "systemctl enable --now bgtasksd@shop bgtasksd.target bgtasksd-healthcheck@shop.timer" in said
    assert "systemctl --user enable --now bgtasksd" in install("--user", XDG_CONFIG_HOME=str(install.root)).stdout


def test_an_instance_has_units_of_its_own_beside_the_others(install) -> None:
    assert install().returncode == 0
    assert install("--instance", "shop", "--with", "memory").returncode == 0
    assert {
        *("etc/systemd/system/bgtasksd@shop.service", "etc/systemd/system/bgtasksd.target", "etc/bgtasksd/shop.env"),
        *("etc/systemd/system/bgtasksd.service", "etc/systemd/system/bgtasksd@shop.service.d/30-memory.conf"),
    } <= files(install.root)


def test_every_part_can_be_added(install) -> None:
    assert install(*(word for part in PARTS for word in ("--with", part))).returncode == 0
    there = files(install.root / SYSTEM)
    assert {"bgtasksd-healthcheck.timer", "bgtasksd-healthcheck.service"} <= there
    drop_ins = {f"bgtasksd.service.d/{path.name}" for path in (SHIPPED / "drop-ins").iterdir()}
    assert drop_ins <= there
    refused = install("--user", "--with", "hardened")
    assert (refused.returncode, "--with hardened" in refused.stderr) == (2, True)


def test_the_second_time_nothing_is_written(install) -> None:
    install()
    before = {name: (install.root / name).stat().st_mtime_ns for name in files(install.root)}
    again = install()
    assert again.returncode == 0
    assert again.stdout.count("unchanged ") == len(before)
    assert {name: (install.root / name).stat().st_mtime_ns for name in files(install.root)} == before


def test_a_file_that_somebody_has_changed_is_not_overwritten_and_nothing_else_is_written(install) -> None:
    install()
    unit = install.root / SYSTEM / "bgtasksd.service"
    unit.write_text("mine")
    (install.root / "etc/sysusers.d/bgtasksd.conf").unlink()
    refused = install()
    assert refused.returncode == 1
    assert str(unit) in refused.stderr
    assert "--force" in refused.stderr
    assert not (install.root / "etc/sysusers.d/bgtasksd.conf").exists()
    assert json.loads(install("--json").stdout)["error"]["code"] == "changed"
    forced = install("--force")
    assert (forced.returncode, "overwritten" in forced.stdout) == (0, True)
    assert unit.read_text() != "mine"


def test_peoples_environment_file_is_kept_and_the_manual_is_renewed(install) -> None:
    install()
    environment = install.root / "etc/default/bgtasksd"
    environment.write_text("BGTASKSD_WORKERS=8\n")
    manual = install.root / "usr/local/share/man/man8/bgtasksd.8"
    manual.write_text("old")
    done = install("--json")
    states = {Path(file["path"]).name: file["state"] for file in json.loads(done.stdout)["files"]}
    assert (done.returncode, states["bgtasksd"], states["bgtasksd.8"]) == (0, "kept", "renewed")
    assert environment.read_text() == "BGTASKSD_WORKERS=8\n"


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1)])
def test_on_a_terminal_it_asks(install, project, answer, code) -> None:  # noqa: F811
    install()
    unit = install.root / SYSTEM / "bgtasksd.service"
    unit.write_text("mine")
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    asked = subprocess.run(
        [sys.executable, "-m", "bgtasksd", "install-systemd", "--root", str(install.root)],
        cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "shop.settings"},
        stdin=theirs, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert f"{unit} is there and differs\nOverwrite? [y/N]" in asked.stderr
    assert (asked.returncode, unit.read_text() == "mine") == (code, code == 1)


def test_a_release_behind_a_symbolic_link_is_named_by_the_link(install, project, tmp_path_factory) -> None:  # noqa: F811
    current = tmp_path_factory.mktemp("releases") / "current"
    current.symlink_to(project)
    for printed in (install("--print", "--chdir", str(current)), install("--print", PWD=str(current))):
        assert f"\nWorkingDirectory={current}\n" in printed.stdout
    assert f"\nWorkingDirectory={project}\n" in install("--print", PWD=str(current.parent)).stdout, "not where we are"


def test_what_the_account_of_the_service_cannot_reach_is_named(tmp_path) -> None:
    for directory in (tmp_path, *tmp_path.parents):
        reached = directory.stat().st_mode & 0o001
        assert bool(reached) != any(str(directory) + " may be entered" in said for said in obstacles(tmp_path / "x"))
    assert any("PrivateTmp=no" in said for said in obstacles(Path("/tmp/shop/manage.py")))
    assert obstacles(Path("/usr/bin/env"), Path("/srv/nowhere/manage.py")) == []


def test_a_users_own_service_reaches_what_its_user_reaches(install) -> None:
    assert "warning" in install("--print").stderr
    assert install("--user", "--print").stderr == ""


@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME"])
def test_a_users_own_service_is_written_below_the_root_too(install, tmp_path_factory, variable) -> None:
    home = tmp_path_factory.mktemp("home")
    given = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config") if variable == "XDG_CONFIG_HOME" else ""}
    done = install("--user", "--with", "memory", **given)
    assert done.returncode == 0, done.stderr
    units = (home / ".config/systemd/user").relative_to("/")
    assert files(install.root) == {
        f"{units}/{name}" for name in ("bgtasksd.service", "bgtasksd.service.d/30-memory.conf")
    }
    assert files(home) == set()


def test_an_empty_root_is_refused(run, project) -> None:  # noqa: F811
    before = files(project)
    refused = run("install-systemd", "--root", "")
    assert (refused.returncode, "--root: it is empty: write a directory" in refused.stderr) == (2, True)
    assert files(project) == before


def test_printing_writes_nothing(install) -> None:
    printed = install("--print")
    assert printed.returncode == 0
    assert f"# {install.root / SYSTEM / 'bgtasksd.service'}\n" in printed.stdout
    assert files(install.root) == set()


def test_without_a_project_and_with_an_impossible_name_it_says_so(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["install-systemd", "--print"]) == 2
    assert "no Django settings found" in capsys.readouterr().err
    assert main(["install-systemd", "--print", "--settings", "a.b", "--instance", "a/b"]) == 2
    assert main(["install-systemd", "--print", "--chdir", str(tmp_path / "nowhere")]) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_write_is_told_what_to_type(tmp_path, project, monkeypatch, capsys) -> None:  # noqa: F811
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "argv", ["bgtasksd", "install-systemd"])
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "etc").touch()  # where a directory has to be: nobody can write below it, not even root
    assert main(["install-systemd", "--settings", "shop.settings", "--root", str(tmp_path / "closed")]) == 1
    told = capsys.readouterr().err
    assert "sudo " in told
    assert "--user" in told


def test_paths_are_written_as_systemd_reads_them() -> None:
    assert [quoted(word) for word in ("plain", "a b", "100%", 'say "x"', "back\\slash")] == [
        *("plain", '"a b"', "100%%", '"say \\"x\\""', '"back\\\\slash"')
    ]
    unit = adapted((SHIPPED / "bgtasksd.service").read_text(), Project("shop.settings", "", Path("/srv/50% off")))
    assert "\nWorkingDirectory=/srv/50%% off\n" in unit
    assert "/usr/bin/bgtasksd" not in unit


@pytest.mark.parametrize("parts", [(), ("healthcheck", "hardened", "memory", "delegate")])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_what_was_written(install, parts) -> None:
    install("--instance", "shop", *(word for part in parts for word in ("--with", part)))
    units = install.root / SYSTEM
    for name in ("basic", "sysinit", "shutdown", "multi-user", "network-online", "timers"):
        (units / f"{name}.target").write_text("[Unit]\nDescription=stub\n")
    called = install.root / program()[0].lstrip("/")
    called.parent.mkdir(parents=True, exist_ok=True)
    called.write_text("#!/bin/sh\n")
    called.chmod(0o755)
    names = [path.name for path in units.glob("bgtasksd*.*") if path.is_file()]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=one", f"--root={install.root}", *names]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_installing_imports_no_django() -> None:
    program = (
        "import sys; from bgtasksd.cli import main; main(['install-systemd', '--print', '--settings', 'a.b']);"
        "sys.exit('django' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
