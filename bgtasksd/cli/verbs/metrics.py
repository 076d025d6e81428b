"""`bgtasksd metrics`: the figures of this daemon, as Prometheus reads them."""

from __future__ import annotations

import argparse

from bgtasksd.cli.asking import give

EXAMPLES = """examples:
  bgtasksd metrics
  bgtasksd metrics > /var/lib/node_exporter/textfile/bgtasks.prom

exit codes: 0 done, 1 no answer, 3 not running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the verb takes no arguments."""


def run(typed: argparse.Namespace) -> int:
    """Print them."""
    return give(typed, "metrics", lambda answer: str(answer["text"]).rstrip())
