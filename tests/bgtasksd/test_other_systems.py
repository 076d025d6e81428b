"""Where the daemon cannot run it says so, and what to use. The kernel refuses the call, as an old one would."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes
WITHOUT_PIDFD_OPEN = """
import ctypes, os, struct, sys
ENOSYS, NUMBER, NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 434, 38, 22, 2
load, equals, answer = 0x20, 0x15, 0x06
lines = [(load, 0, 0, 0), (equals, 0, 1, NUMBER), (answer, 0, 0, 0x50000 | ENOSYS), (answer, 0, 0, 0x7FFF0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
program = struct.pack("@HP", len(lines), ctypes.addressof(text))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(SECCOMP, FILTER, program, 0, 0):
    sys.exit(99)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_without_handles_of_processes_a_start_is_refused_in_one_sentence(tmp_path):
    started = subprocess.run(
        [sys.executable, "-c", WITHOUT_PIDFD_OPEN, "-m", "bgtasksd", "start", "--runtime-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if started.returncode == 99:
        pytest.skip("no seccomp filters here")
    assert started.returncode == 78, started
    assert started.stderr.startswith("bgtasksd: this system has no pidfd_open: bgtasksd needs Linux 5.3")
    assert len(started.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
