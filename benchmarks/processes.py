"""What processes use, from /proc: CPU seconds and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU these processes have used since they began."""
    return sum(_cpu_of(pid) for pid in pids)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> tuple[int, int]:
    """Return the bytes that are this process's own, and its share of all it uses (USS and PSS)."""
    own, share = 0, 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, kilobytes = line.split()[:2]
        if name in ("Private_Clean:", "Private_Dirty:"):
            own += int(kilobytes) * 1024
        elif name == "Pss:":
            share += int(kilobytes) * 1024
    return own, share


def wakeups(pids: Iterable[int]) -> int:
    """Return how often these processes have been switched to."""
    return sum(_switches_of(pid) for pid in pids)


def _switches_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
