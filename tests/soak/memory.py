"""Whether the memory of supervisor, zygote and maintenance stays flat.

Measured is all they have written, shared or not: what a zygote shares with nobody grows as workers forked long ago
write to their copies, and says nothing about itself.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

ALLOWED_BYTES = 2 * 1024 * 1024
ENOUGH = 30
"""Samples of one process, of which the first third is compared with the last."""


class Memory:
    """What each of them had of its own, again and again."""

    def __init__(self) -> None:
        self.samples: dict[tuple[str, int], list[int]] = {}

    def sample(self, status: dict[str, Any]) -> None:
        """Measure once."""
        pids = {"supervisor": status["pid"], **{name: status[name]["pid"] for name in ("zygote", "maintenance")}}
        for name, pid in pids.items():
            used = written_bytes(pid) if pid else None
            if used:
                self.samples.setdefault((name, pid), []).append(used)

    def forget(self) -> None:
        """Begin anew: the first half is over."""
        self.samples.clear()

    def grown(self) -> list[str]:
        """Return who has grown."""
        return [
            f"the {who[0]}, pid {who[1]}, has grown: {self._told(used)}"
            for who, used in self._long()
            if _has_grown(used)
        ]

    def told(self) -> list[str]:
        """Return what was measured, one line a process."""
        return [f"{who[0]} {who[1]}: {self._told(used)}" for who, used in self._long()]

    def _long(self) -> list[tuple[tuple[str, int], list[int]]]:
        return [(who, used) for who, used in self.samples.items() if len(used) >= ENOUGH]

    def _told(self, used: list[int]) -> str:
        first, last = _ends(used)
        return f"{first / 1e6:.1f} MB → {last / 1e6:.1f} MB in {len(used)} samples"


def written_bytes(pid: int) -> int | None:
    """Return the anonymous memory of a process that is in use; None when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), None)


def _ends(used: list[int]) -> tuple[float, float]:
    third = len(used) // 3
    return median(used[:third]), median(used[-third:])


def _has_grown(used: list[int]) -> bool:
    first, last = _ends(used)
    return last > max(1.1 * first, first + ALLOWED_BYTES)
