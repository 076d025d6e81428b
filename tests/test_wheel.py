"""The wheel, made from what git has: it carries what is no module, too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.test_repository import ROOT, committed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.Path:
    """Return a wheel of a clean copy; pip may have to fetch what builds it."""
    clean = tmp_path_factory.mktemp("clean")
    for name in committed():
        if (ROOT / name).exists():
            (clean / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clean / name, follow_symlinks=False)
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(clean / "made"), str(clean)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "Could not find a version" in made.stderr and os.environ.get("CI") != "true":
        pytest.skip("what builds a wheel cannot be fetched here")
    assert made.returncode == 0, made.stderr
    return zipfile.Path(next((clean / "made").glob("*.whl")))


def test_every_unit_is_in_it_as_it_is_in_the_source(wheel) -> None:
    source = ROOT / "systemd"
    shipped = [path for path in sorted(source.rglob("*")) if path.is_file()]
    assert len(shipped) > 15
    for path in shipped:
        assert (wheel / "bgtasksd" / "units" / str(path.relative_to(source))).read_text() == path.read_text()


def test_every_module_is_in_it_and_no_test(wheel) -> None:
    modules = [name for name in committed() if name.endswith(".py") and name.startswith(("bgtasks/", "bgtasksd/"))]
    assert all((wheel / name).exists() for name in modules if Path(ROOT / name).exists())
    assert {entry.name for entry in wheel.iterdir() if not entry.name.endswith(".dist-info")} == {"bgtasks", "bgtasksd"}
    assert (wheel / "bgtasks" / "py.typed").exists()
