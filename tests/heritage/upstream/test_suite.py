"""django-background-tasks' own tests, fetched by the hash of its release and run through the alias, in one process."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.foreign_suites import assert_each_passed_or_is_waived, run
from tests.heritage.upstream.fetching import wheel

HERE = Path(__file__).parent
TESTS = 55


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the old tests as a package of another name: the old one is the alias."""
    folder = tmp_path_factory.mktemp("upstream")
    with zipfile.ZipFile(wheel(folder)) as archive:
        text = archive.read("background_task/tests/test_tasks.py").decode()
    package = folder / "heritage_suite"
    package.mkdir()
    (package / "__init__.py").touch()
    text = text.replace("background_task.tests.test_tasks.", "heritage_suite.test_tasks.")
    (package / "test_tasks.py").write_text(text.replace("from mock import", "from unittest.mock import"))
    return folder


def test_every_test_of_the_old_package_passes_or_is_waived_with_a_reason(suite: Path) -> None:
    ran = run("heritage_suite", suite, "tests.heritage.upstream.settings", "upstream")
    assert len(ran.outcomes) == TESTS, ran.said
    assert_each_passed_or_is_waived(ran, HERE / "waivers.toml")
