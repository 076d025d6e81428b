"""The runtime directory: where it is looked for, and which places are refused."""

from __future__ import annotations

import os

import pytest

from bgtasks import places as rule
from bgtasksd.cli.places import candidates, for_a_start, prepare
from bgtasksd.directory import UnfitDirectory, make

ALL = {"XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/ana"}


def places(runtime_dir: str | None = None, instance: str = "default", **environ: str) -> list[str]:
    return [str(place) for place in candidates(runtime_dir, instance, environ)]


def test_the_places_in_their_order() -> None:
    assert places(**ALL) == ["/run/bgtasksd", "/run/user/1000/bgtasksd", "/home/ana/.bgtasksd"]


def test_a_named_instance_has_a_subdirectory() -> None:
    assert places(instance="shop", **ALL) == [
        "/run/bgtasksd/shop",
        "/run/user/1000/bgtasksd/shop",
        "/home/ana/.bgtasksd/shop",
    ]
    assert places("/srv/run", "shop") == ["/srv/run/shop"]


def test_what_is_named_is_the_only_place() -> None:
    assert places("/srv/run", **ALL) == ["/srv/run"]


def test_systemds_directory_is_used_as_it_is() -> None:
    assert places(instance="shop", RUNTIME_DIRECTORY="/run/bgtasksd/shop", **ALL) == ["/run/bgtasksd/shop"]
    assert places(RUNTIME_DIRECTORY="/run/one:/run/two") == ["/run/one"]


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "control.sock", "x" * 65, "a b"])
def test_an_impossible_instance_is_refused(name) -> None:
    with pytest.raises(UnfitDirectory, match="instance"):
        candidates(None, name, {})


def test_a_missing_directory_is_made_for_us_alone(tmp_path) -> None:
    made = prepare(str(tmp_path / "a" / "b"), "shop", {})
    assert made == tmp_path / "a" / "b" / "shop"
    assert made.stat().st_mode & 0o777 == 0o700


def test_the_first_fit_place_is_taken(tmp_path) -> None:
    open_to_all = tmp_path / "open" / "bgtasksd"
    open_to_all.mkdir(parents=True)
    open_to_all.chmod(0o777)
    environ = {"XDG_RUNTIME_DIR": str(open_to_all.parent), "HOME": str(tmp_path)}
    assert prepare(None, "default", environ) == tmp_path / ".bgtasksd"


def test_the_systems_place_is_for_whom_it_was_made(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rule, "SYSTEM_DIRECTORY", str(tmp_path / "run"))
    both = candidates(None, "shop", {"HOME": str(tmp_path)})
    assert for_a_start(both) == [tmp_path / ".bgtasksd" / "shop"]
    assert not (tmp_path / ".bgtasksd").exists()
    (tmp_path / "run").mkdir()
    assert for_a_start(both) == both == [tmp_path / "run" / "shop", tmp_path / ".bgtasksd" / "shop"]


def test_a_place_that_everybody_may_write_is_refused(tmp_path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(UnfitDirectory, match="written by everybody"):
        make(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_place_of_somebody_else_is_refused(tmp_path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(UnfitDirectory, match="belongs to uid 65534"):
        make(tmp_path)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path) -> None:
    with pytest.raises(UnfitDirectory, match="107"):
        make(tmp_path / ("x" * 100))


def test_a_file_in_the_place_is_refused(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnfitDirectory, match="--runtime-dir"):
        make(tmp_path / "file")


def test_nowhere_to_go_says_so(tmp_path) -> None:
    (tmp_path / ".bgtasksd").touch()
    with pytest.raises(UnfitDirectory, match="--runtime-dir DIR"):
        prepare(None, "default", {"HOME": str(tmp_path)})
