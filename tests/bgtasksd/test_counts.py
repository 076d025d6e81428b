"""Reference counts stand still from a fork on: what children only use is not copied, and what is new is freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

USING = """
import os, sys
from bgtasksd.children.counts import stop_counting

def copied():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty", "Private_Clean")))

loaded = [(str(number), float(number)) for number in range(100_000)]
if sys.argv[1] == "stopped":
    stop_counting()
reader, writer = os.pipe()
if os.fork() == 0:
    held = [part for both in loaded for part in both]
    del held
    os.write(writer, str(copied()).encode())
    os._exit(0)
os.wait()
print(os.read(reader, 100).decode())
"""
FREEING = """
import gc, weakref
from bgtasksd.children.counts import stop_counting

class Loaded: pass

kept, cached = Loaded(), {}
stop_counting()
before = len(gc.get_objects())

def seen_freed(make):
    thing = make()
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    return gone() is None

def a_cycle():
    one = Loaded()
    one.itself = one
    one.old = kept
    return one

def an_entry():
    cached["one"] = thing = Loaded()
    del cached["one"]
    return thing

assert seen_freed(Loaded) and seen_freed(a_cycle) and seen_freed(an_entry)
stop_counting()
assert seen_freed(a_cycle)
print("all is freed")
"""


def output_of(script: str, *arguments: str) -> str:
    ended = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert not ended.stderr
    return ended.stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="there everything is counted")
def test_a_child_that_only_uses_what_was_loaded_copies_little_of_it():
    counted, stopped = int(output_of(USING, "counted")), int(output_of(USING, "stopped"))
    assert counted > 10_000, "nothing was written in this heap"
    assert stopped < counted / 3


def test_what_comes_afterwards_is_freed_also_where_it_refers_to_what_was_there():
    assert output_of(FREEING) == "all is freed"
