"""`bgtasksd version`: what is installed here; `status` says what runs."""

from __future__ import annotations

import argparse
import platform

from bgtasks import __version__
from bgtasksd.cli.printing import say, say_json

EXAMPLES = """examples:
  bgtasksd version
  bgtasksd version --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the verb takes no arguments."""


def run(typed: argparse.Namespace) -> int:
    """Print the version."""
    if typed.json:
        say_json({"version": __version__, "python": platform.python_version()})
    else:
        say(f"bgtasksd {__version__}")
    return 0
