"""`tasks list`, `show`, `retry`, `cancel`, `delete`: looking at tasks, live or over, and doing something about them."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Any

from bgtasks.management.verbs import Answer

SUMMARY = "Look at tasks, try them again, cancel or delete them."
EXAMPLES = """examples:
  bgtasksd tasks list --status failed --since 1h
  bgtasksd tasks show 48213
  bgtasksd tasks retry --all --status failed --name 'shop.*'
  bgtasksd tasks cancel 48213

Each has more: `bgtasksd tasks list --help`. They work through the database, whether a daemon runs or not."""
ACTIONS = ("list", "show", "retry", "cancel", "delete")
MODULES = {"list": "listing", "show": "showing"}
"""All others change something."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions, each with what it takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in ACTIONS:
        summary, examples, add = _module_of(name).described(name)
        below = actions.add_parser(name, help=summary, description=f"{summary}\n\n{examples}")
        below.formatter_class = argparse.RawDescriptionHelpFormatter
        add(below)


def run(given: Namespace) -> Answer:
    """Do what the action says. Raises NotDone."""
    answered: Answer = _module_of(given.action).run(given)
    return answered


def _module_of(action: str) -> Any:
    return import_module(f"{__name__}.{MODULES.get(action, 'changing')}")
