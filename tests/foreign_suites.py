"""Test suites of others, run against this package: each of their tests passes, or is waived with a reason."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RAN = re.compile(r"^(?P<test>test_\w+) \((?P<case>[\w.]+)\)(?: \.\.\. |\n.* \.\.\. )(?P<outcome>\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What a run has said, and how each test ended."""

    said: str
    outcomes: dict[str, str]


def run(package: str, folder: Path, settings: str, suffix: str) -> Ran:
    """Run the tests of a package that lies in this folder, on databases of their own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        "DJANGO_SETTINGS_MODULE": settings,
        "BGTASKS_TEST_SUFFIX": f"{os.environ.get('BGTASKS_TEST_SUFFIX', 'main')}_{suffix}",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "django", "test", package, "--noinput", "-v", "2"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip
    found = [(each["case"].split(".")[-2], each["test"], each["outcome"]) for each in RAN.finditer(ran.stderr)]
    return Ran(ran.stderr, {f"{case}.{test}": outcome for case, test, outcome in found})


def assert_each_passed_or_is_waived(ran: Ran, waivers: Path) -> None:
    """Check that what did not pass stands in the file of waivers, and nothing else does."""
    failed = {test for test, outcome in ran.outcomes.items() if outcome != "ok"}
    waived = tomllib.loads(waivers.read_text())
    assert failed - waived.keys() == set(), ran.said
    assert waived.keys() - failed == set(), "these pass: their waivers can go"
