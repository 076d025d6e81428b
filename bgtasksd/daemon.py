"""Running in the background: python-daemon with every default overridden, and the pipe on which the parent waits."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, TextIO

import daemon  # type: ignore[import-untyped]

from bgtasksd.exit_codes import EXIT_SOFTWARE


class Report:
    """How the start went, from the daemon to the process that started it: the first word counts."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def listen(self) -> tuple[int, str]:
        """Be the parent: return the exit code and the text, once the daemon is ready (0, its pid) or has failed."""
        os.close(self._writer)
        with os.fdopen(self._reader, encoding="utf-8") as reader:
            told = reader.readline()  # not to its end: a child of the daemon may still hold the pipe
        if not told:
            return EXIT_SOFTWARE, "the daemon ended before it was ready; its log says why"
        code, text = json.loads(told)
        return code, text

    def speak(self) -> None:
        """Be the daemon."""
        os.close(self._reader)

    def tell(self, code: int, text: str = "") -> None:
        """Let the parent go with this exit code; only the first call does anything."""
        if self._writer < 0:
            return
        descriptor, self._writer = self._writer, -1
        # the parent may be gone: nobody has to know
        with contextlib.suppress(OSError), os.fdopen(descriptor, "w", encoding="utf-8") as writer:
            writer.write(json.dumps([code, text]) + "\n")

    def fileno(self) -> int:
        return self._writer


def context(output: TextIO, report: Report) -> Any:
    """Return the DaemonContext that detaches this process; its standard streams go to `output`.

    Each argument is named because its default is a trap: files writable by all, no core dumps, signals turned into
    SystemExit, a pid file that refuses the start after a crash, no detaching under systemd.
    """
    return daemon.DaemonContext(
        detach_process=True,
        working_directory=str(Path.cwd()),
        umask=0o027,
        prevent_core=False,
        signal_map={},
        pidfile=None,
        files_preserve=[report, output],
        stdin=None,
        stdout=output,
        stderr=output,
    )
