"""Where a log may be written, looked at before anything is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bgtasks.output import why_no_log


def test_a_log_that_can_be_written_is_not_refused_and_none_is_made(tmp_path) -> None:
    (tmp_path / "old").touch()
    assert [why_no_log(str(path)) for path in (tmp_path / "new", tmp_path / "old", Path(os.devnull))] == [None] * 3
    assert not (tmp_path / "new").exists()


def test_why_a_log_cannot_be_written_is_said(tmp_path) -> None:
    (tmp_path / "file").touch()
    assert why_no_log(str(tmp_path)) == "it is a directory"
    assert why_no_log(str(tmp_path / "none" / "log")) == f"there is no directory {tmp_path / 'none'}"
    assert why_no_log(str(tmp_path / "file" / "log")) == f"there is no directory {tmp_path / 'file'}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_log_that_only_others_may_write_is_refused(tmp_path) -> None:
    tmp_path.chmod(0o700)
    program = (
        "import os, sys; from bgtasks.output import why_no_log; os.setuid(65534);"
        "print(why_no_log('/etc/bgtasksd.log'), why_no_log('/etc/passwd'), why_no_log(sys.argv[1]), sep='|')"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "log")], capture_output=True, text=True, check=True
    ).stdout
    assert told == "/etc is not writable|the file is not writable|Permission denied\n"
