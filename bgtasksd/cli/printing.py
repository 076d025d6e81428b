"""stdout is data, stderr is talk: how the command line prints both, and failures as JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def say(text: str) -> None:
    """Print to stdout; a reader that has gone away is no error of ours."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit fails again


def say_json(value: Any) -> None:
    say(json.dumps(value, ensure_ascii=False))


def complain(text: str) -> None:
    """Print to stderr."""
    sys.stderr.write(text + "\n")


def fail(exit_code: int, code: str, message: str, fix: str | None = None, *, is_json: bool = False) -> int:
    """Print what went wrong and what to do, and return the exit code."""
    if is_json:
        say_json({"schema_version": 1, "error": {"code": code, "message": message, "fix": fix}})
    else:
        named = message if message.startswith("bgtasksd ") else f"bgtasksd: {message}"
        complain(named + (f"\n          {fix}" if fix else ""))
    return exit_code
