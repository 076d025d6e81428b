"""Finding the project: every way, in order, without running anything."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bgtasksd.project import ProjectNotFound, find_project, settings_named_in

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\nraise SystemExit("this must never run")\n'


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a directory inside a repository, so that nothing above it is looked at."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def project_in(directory: Path, name: str = "shop") -> Path:
    (directory / name).mkdir(parents=True)
    (directory / name / "settings.py").touch()
    (directory / "manage.py").write_text(MANAGE.format(f"{name}.settings"))
    return directory


def test_the_command_line_wins(here) -> None:
    project_in(here)
    found = find_project("other.settings", {"DJANGO_SETTINGS_MODULE": "third.settings"}, here)
    assert (found.settings, found.source) == ("other.settings", "--settings")


def test_the_environment_comes_next(here) -> None:
    project_in(here)
    found = find_project(None, {"DJANGO_SETTINGS_MODULE": "shop.settings"}, here)
    assert (found.settings, found.source, found.root) == ("shop.settings", "DJANGO_SETTINGS_MODULE", here)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('[tool.bgtasks]\nsettings = "shop.settings"', "./pyproject.toml [tool.bgtasks]"),
        ('[tool.django-stubs]\ndjango_settings_module = "shop.settings"', "./pyproject.toml [tool.django-stubs]"),
        (
            '[tool.pytest.ini_options]\nDJANGO_SETTINGS_MODULE = "shop.settings"',
            "./pyproject.toml [tool.pytest.ini_options]",
        ),
    ],
)
def test_pyproject_names_the_settings(here, text, source) -> None:
    (here / "pyproject.toml").write_text(text)
    found = find_project(None, {}, here)
    assert (found.settings, found.source) == ("shop.settings", source)


def test_our_own_table_is_asked_before_those_of_other_tools(here) -> None:
    (here / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nDJANGO_SETTINGS_MODULE = "tests.settings"\n'
        '[tool.bgtasks]\nsettings = "shop.settings"'
    )
    assert find_project(None, {}, here).settings == "shop.settings"


def test_manage_py_here(here) -> None:
    found = find_project(None, {}, project_in(here))
    assert (found.settings, found.source, found.root) == ("shop.settings", "./manage.py", here)


def test_manage_py_one_level_down(here) -> None:
    project_in(here / "src")
    found = find_project(None, {}, here)
    assert (found.settings, found.source, found.root) == ("shop.settings", "./src/manage.py", here / "src")


def test_manage_py_in_a_parent_up_to_the_repository(here) -> None:
    project_in(here)
    below = here / "shop" / "deep" / "down"
    below.mkdir(parents=True)
    found = find_project(None, {}, below)
    assert (found.settings, found.root) == ("shop.settings", here)


def test_nothing_above_the_repository_is_looked_at(here) -> None:
    project_in(here)
    inner = here / "inner"
    (inner / ".git").mkdir(parents=True)
    with pytest.raises(ProjectNotFound):
        find_project(None, {}, inner)


def test_a_directory_that_everybody_may_write_is_not_believed(here) -> None:
    project_in(here)
    below = here / "home"
    below.mkdir()
    here.chmod(0o777)
    with pytest.raises(ProjectNotFound):
        find_project(None, {}, below)


def test_two_projects_one_level_down_are_not_guessed_between(here) -> None:
    project_in(here / "a", "shop")
    project_in(here / "b", "blog")
    with pytest.raises(ProjectNotFound, match=r"shop.settings.*blog.settings"):
        find_project(None, {}, here)


def test_nothing_found_names_the_four_ways(here) -> None:
    with pytest.raises(ProjectNotFound) as caught:
        find_project(None, {}, here)
    for way in ("--settings", "DJANGO_SETTINGS_MODULE=", "[tool.bgtasks]", "--chdir"):
        assert way in str(caught.value)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "a.settings")', "a.settings"),
        ('environ["DJANGO_SETTINGS_MODULE"] = "b.settings"', "b.settings"),
        ("environ['DJANGO_SETTINGS_MODULE'] = 'a'\nenviron.setdefault('DJANGO_SETTINGS_MODULE', 'b')", "b"),
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", compute())', None),
        ('os.environ.setdefault("OTHER", "a.settings")', None),
        ("", None),
    ],
)
def test_manage_py_is_read_in_both_spellings(source, named) -> None:
    assert settings_named_in(source) == named


@pytest.mark.parametrize("broken", [b"def (", b"\xff\xfe\x00", b"\x00"])
def test_a_broken_file_is_passed_over(here, broken) -> None:
    (here / "manage.py").write_bytes(broken)
    (here / "pyproject.toml").write_bytes(broken)
    with pytest.raises(ProjectNotFound):
        find_project(None, {}, here)


def test_the_root_is_where_the_package_lies(here) -> None:
    (here / "src" / "shop").mkdir(parents=True)
    assert find_project("shop.settings", {}, here).root == here / "src"
    assert find_project("nowhere.settings", {}, here).root == here


def test_finding_takes_less_than_a_tenth_of_a_second(here) -> None:
    project_in(here / "src")
    began = time.monotonic()
    find_project(None, {}, here)
    assert time.monotonic() - began < 0.1
