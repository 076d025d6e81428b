"""The holes of a heap are filled before a fork, so that its children need not copy a page for each."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from bgtasksd.children.heap import fill_holes

def copied():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty", "Private_Clean")))

pieces = [bytes(2000) for _ in range(4000)]
kept = pieces[::2]
del pieces
if sys.argv[1] == "filled":
    fill_holes()
reader, writer = os.pipe()
if os.fork() == 0:
    more = [bytes(1000) for _ in range(1500)]
    os.write(writer, str(copied()).encode())
    os._exit(0)
os.wait()
print(os.read(reader, 100).decode())
"""


def kilobytes_copied(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
def test_what_a_child_allocates_lies_close_together():
    plain, filled = kilobytes_copied("plain"), kilobytes_copied("filled")
    assert plain > 4000, "there were no holes in this heap"
    assert filled < plain / 2
