"""Clocks that a test sets while processes run: libfaketime gives these another time of day, no other monotonic one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


class FakedClock:
    """The time of day of processes that have its variables in their environment: they look at its file each second."""

    def __init__(self, file: Path) -> None:
        if LIBRARY is None:
            assert os.environ.get("CI") != "true", "libfaketime is missing"
            pytest.skip("libfaketime is not installed")
        self.file = file
        self.set("+0")

    def variables(self) -> dict[str, str]:
        """Return the environment of those processes."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        """Put the clock forward or back, from the true time: `+1d`, `-3600`."""
        new = self.file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.chmod(0o644)
        new.replace(self.file)
