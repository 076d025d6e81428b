"""Django's own tests of `django.tasks`, fetched with the release that is installed, run with our backend swapped in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

from tests.foreign_suites import assert_each_passed_or_is_waived, run

HERE = Path(__file__).parent
FEWEST = 71


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with Django's tests as the package `tasks`."""
    if django.VERSION < (6, 0):
        pytest.skip("Django 5.2 has no django.tasks")
    folder = tmp_path_factory.mktemp("django")
    release = f"django=={django.get_version()}"
    fetching = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "django", release],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = list(folder.glob("*.tar.gz"))
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{release} cannot be fetched: {fetching.stderr}")
        pytest.skip(f"{release} cannot be fetched here: {fetching.stderr.strip()[-200:]}")
    with tarfile.open(found[0]) as archive:
        wanted = [each for each in archive.getmembers() if "/tests/tasks/" in each.name]
        archive.extractall(folder, wanted, filter="data")
    (folder / found[0].name.removesuffix(".tar.gz") / "tests" / "tasks").rename(folder / "tasks")
    return folder


def test_every_test_of_djangos_own_passes_or_is_waived_with_a_reason(suite: Path) -> None:
    ran = run("tasks", suite, "tests.conformance.settings", "conformance")
    counted = re.search(r"^Ran (\d+) tests", ran.said, re.MULTILINE)
    assert counted, ran.said
    assert len(ran.outcomes) == int(counted[1]) >= FEWEST, ran.said
    assert_each_passed_or_is_waived(ran, HERE / "waivers.toml")
