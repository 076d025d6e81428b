"""Minutes of random faults under load (`make soak`): SOAK_MINUTES, SOAK_SEED, SOAK_WORKERS and SOAK_RATE."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings import VENDOR

ROOT = Path(__file__).resolve().parent.parent.parent
MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))


@pytest.mark.soak
@pytest.mark.processes
@pytest.mark.timeout(MINUTES * 60 + 1200)
def test_after_minutes_of_random_faults_the_queue_drains_and_every_invariant_holds(capfd):
    command = [sys.executable, "-m", "tests.soak", "--database", VENDOR, "--minutes", str(MINUTES)]
    for name in ("seed", "workers", "rate"):
        given = os.environ.get(f"SOAK_{name.upper()}")
        command += [f"--{name}", given] if given else []
    with capfd.disabled():  # what it does is worth reading while it does it
        code = subprocess.call(command, cwd=ROOT)
    assert code == 0, "see above; logs, ledger, last status and seed are in the directory it named"
