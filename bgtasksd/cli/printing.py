"""stdout is data, stderr is talk: how the command line prints both, and failures as JSON."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from bgtasks.output import say


def open_streams() -> None:
    """Have streams where they are closed (`>&-`), and escape what the encoding of stdout lacks."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it stays open
            os.set_inheritable(stream.fileno(), True)  # noqa: FBT003 - it has the lowest free number, which was closed
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say_json(value: Any) -> None:
    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    say(json.dumps(value, ensure_ascii=not is_unicode))


def complain(text: str) -> None:
    """Print to stderr."""
    sys.stderr.write(text + "\n")


def some(count: int, noun: str) -> str:
    """Return `1 worker`, `1,024 workers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def fail(exit_code: int, code: str, message: str, fix: str | None = None, *, is_json: bool = False) -> int:
    """Print what went wrong and what to do, and return the exit code."""
    if is_json:
        say_json({"schema_version": 1, "error": {"code": code, "message": message, "fix": fix}})
    else:
        named = message if message.startswith("bgtasksd ") else f"bgtasksd: {message}"
        complain(named + (f"\n          {fix}" if fix else ""))
    return exit_code
