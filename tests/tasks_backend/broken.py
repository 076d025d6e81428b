"""A module that the tests can import and no worker can: there it lacks what it wants to read."""

from __future__ import annotations

import os
import sys

from bgtasks import task

if "pytest" not in sys.modules:
    os.environ["A_KEY_THAT_IS_NOT_THERE"]


@task
def charge() -> None:
    """Never reached."""
