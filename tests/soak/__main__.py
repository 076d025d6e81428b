"""Run a soak: random faults under load for minutes, then let the queue drain and check the invariants.

    python -m tests.soak [--database sqlite|postgres|mariadb] [--minutes 30] [--seed N] [--workers 16] [--rate 50]
                         [--only FAULT …]

The servers are its own. When something is broken, logs, ledger, last status and seed stay in the directory it names.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import django

from tests.servers import a_server


def main() -> int:
    """Run, report, and return the exit code."""
    options = parse()
    signal.signal(signal.SIGTERM, end)
    directory = options.directory or Path(tempfile.mkdtemp(prefix="bgtasks-soak-"))
    print(f"soak on {options.database}: {options.minutes:g} min, {options.workers} workers, {options.rate:g} tasks/s,"
          f" --seed {options.seed}, in {directory}", flush=True)  # fmt: skip
    (directory / "seed").write_text(f"{options.seed}\n")
    with a_server(options.database, directory) as server:
        os.environ.update(server.variables(), DJANGO_SETTINGS_MODULE="tests.settings")
        django.setup()
        from tests.soak.course import soaked  # its tasks are decorated: only after the set-up

        broken = soaked(options, directory, server)
    for text in broken[:50]:
        print(f"BROKEN: {text}")
    if not broken and not options.directory:
        shutil.rmtree(directory)
    print(f"{len(broken)} broken; everything is in {directory}" if broken else "everything holds", flush=True)
    return 1 if broken else 0


def end(number: int, _frame: object) -> None:
    """Leave in order: daemon and server are ended too."""
    sys.exit(128 + number)


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres", "mariadb"), default="sqlite")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--directory", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
