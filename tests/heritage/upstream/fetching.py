"""The packages that people come from, fetched when a test needs them: nothing of them is kept here."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

RELEASE = "django-background-tasks==1.2.8"
SHA256 = "266b64316e364771afc3af73ae4c3e75f16782aa69e36c9e71d289cfd241347f"


def wheel(folder: Path) -> Path:
    """Return the file of django-background-tasks' release, of this hash."""
    _pip("download", "--no-deps", "--only-binary", ":all:", RELEASE, folder=folder)
    (found,) = folder.glob("*.whl")
    assert hashlib.sha256(found.read_bytes()).hexdigest() == SHA256
    return found


def installed(folder: Path) -> Path:
    """Return a folder in which django-background-tasks and what it needs can be imported."""
    target = folder / "old_package"
    _pip("install", "--no-deps", "--target", str(target), str(wheel(folder)), "six", folder=folder)
    return target


def installed_with_all_they_need(folder: Path, *releases: str) -> Path:
    """Return a folder in which these releases can be imported, with a Django that suits them."""
    target = folder / "old_packages"
    _pip("install", "--target", str(target), *releases, folder=folder)
    return target


def _pip(*arguments: str, folder: Path) -> None:
    """Run pip. Where the index cannot be reached the test is skipped, and in CI it fails."""
    ran = subprocess.run(
        [sys.executable, "-m", "pip", arguments[0], "--quiet", *arguments[1:]],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode == 0:
        return
    wanted = " ".join(argument for argument in arguments if "==" in argument) or RELEASE
    if os.environ.get("CI") == "true":
        pytest.fail(f"{wanted} cannot be fetched: {ran.stderr}")
    pytest.skip(f"{wanted} cannot be fetched here: {ran.stderr.strip()[-200:]}")
