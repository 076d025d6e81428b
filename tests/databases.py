"""Run the tests on every database that answers: all of them on the first, on the others what depends on a database.

    python tests/databases.py [--database all|sqlite|postgres|mariadb] [-- arguments of pytest]

What was left out is named, with the reason; with CI=true leaving something out is a failure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDORS = ("sqlite", "postgres", "mariadb")
ON_EVERY_DATABASE = ("bgtasks", "contract", "heritage", "lifecycle", "faults", "waking", "example")
"""Folders below tests/ whose outcome may depend on the database. Everything else runs once."""

CLOSING = re.compile(r"^(?:=+ )?(?P<counts>(?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)


@dataclass
class Run:
    """One database: how its tests ended, or why they were left out."""

    vendor: str
    left_out: str = ""
    exit_code: int = 0
    closing: str = "no tests ran"
    counts: dict[str, int] = field(default_factory=dict)


def main() -> int:
    """Run, report, and return the exit code."""
    options, given = parse(sys.argv[1:])
    started = time.monotonic()
    vendors = VENDORS if options.database == "all" else (options.database,)
    runs = []
    for position, vendor in enumerate(vendors):
        runs.append(run(vendor, everything=position == 0, given=given))
    return report(runs, time.monotonic() - started)


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options, and what follows `--`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("all", *VENDORS), default="all")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    return parser.parse_args(arguments[:cut]), arguments[cut + 1 :]


def run(vendor: str, *, everything: bool, given: list[str]) -> Run:
    """Run the tests on one database, unless it cannot be reached."""
    reason = why_unreachable(vendor)
    if reason:
        print(f"\n{vendor} is left out: {reason}", flush=True)
        return Run(vendor, left_out=reason)
    print(f"\n== tests on {vendor}{'' if everything else ' (what depends on the database)'}", flush=True)
    paths = [] if everything or names_tests(given) else depending_on_the_database()
    # -X dev shows what Python would otherwise keep to itself, without reaching the processes that tests start
    command = [sys.executable, "-X", "dev", "-m", "pytest", *paths, *given]
    if sys.stdout.isatty():
        command.append("--color=yes")
    environment = {**os.environ, "BGTASKS_TEST_DB": vendor}
    return shown(vendor, command, environment)


def names_tests(given: list[str]) -> bool:
    """Tell whether the caller named files or folders to run."""
    return any((ROOT / argument.partition("::")[0]).exists() for argument in given if not argument.startswith("-"))


def depending_on_the_database() -> list[str]:
    """Return the folders that run on every database, as far as they exist."""
    return [f"tests/{name}" for name in ON_EVERY_DATABASE if (ROOT / "tests" / name).is_dir()]


def shown(vendor: str, command: list[str], environment: dict[str, str]) -> Run:
    """Run pytest, pass on what it prints as it comes, and keep its closing line."""
    printed = bytearray()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        while piece := os.read(child.stdout.fileno(), 65536):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            printed += piece
    result = Run(vendor, exit_code=child.returncode)
    text = re.sub(r"\x1b\[[\d;]*m", "", printed[-4000:].decode(errors="replace"))
    for match in CLOSING.finditer(text):
        result.closing = match[0].strip("= ")
        result.counts = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", match["counts"])}
    return result


def why_unreachable(vendor: str) -> str:
    """Return why a database cannot be used, or nothing."""
    return {"sqlite": lambda: "", "postgres": _try_postgres, "mariadb": _try_mariadb}[vendor]()


def _try_postgres() -> str:
    try:
        import psycopg  # an optional driver
    except ImportError:
        return "psycopg is not installed: pip install 'django-bgtasks[postgres]'"
    host, port = os.environ.get("PGHOST", "127.0.0.1"), os.environ.get("PGPORT", "5432")
    user, password = os.environ.get("PGUSER", "postgres"), os.environ.get("PGPASSWORD", "")
    try:
        psycopg.connect(
            host=host, port=port, user=user, password=password, dbname="postgres", connect_timeout=5
        ).close()
    except psycopg.Error as error:
        return (
            f"no answer at {host}:{port} ({' '.join(str(error).split())}); PGHOST, PGPORT, PGUSER, PGPASSWORD say where"
        )
    return ""


def _try_mariadb() -> str:
    try:
        import MySQLdb  # an optional driver
    except ImportError:
        return "mysqlclient is not installed: it needs a C compiler, pkg-config and libmariadb-dev to be built"
    host, port = os.environ.get("MYSQL_HOST", "127.0.0.1"), os.environ.get("MYSQL_PORT", "3306")
    user, password = os.environ.get("MYSQL_USER", "root"), os.environ.get("MYSQL_PWD", "")
    try:
        MySQLdb.connect(host=host, port=int(port), user=user, password=password, connect_timeout=5).close()
    except MySQLdb.Error as error:
        return f"no answer at {host}:{port} ({error}); MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PWD say where"
    return ""


def report(runs: list[Run], seconds: float) -> int:
    """Print one line per database and the sum as pytest words it; return the exit code."""
    print()
    for each in runs:
        print(f"{each.vendor:<9} {'LEFT OUT: ' + each.left_out if each.left_out else each.closing}")
    total: dict[str, int] = {}
    for each in runs:
        for word, number in each.counts.items():
            total[word] = total.get(word, 0) + number
    left_out = [each.vendor for each in runs if each.left_out]
    incomplete = bool(left_out) and (os.environ.get("CI") == "true" or len(left_out) == len(runs))
    if incomplete:
        print(f"failed: nothing may be left out here, and {', '.join(left_out)} was")
    counts = ", ".join(f"{number} {word}" for word, number in sorted(total.items(), key=_failures_first))
    print(f"======== {counts or 'no tests ran'} in {seconds:.2f}s ========", flush=True)
    return 1 if incomplete else max((each.exit_code for each in runs), default=0)


def _failures_first(counted: tuple[str, int]) -> int:
    order = ("failed", "error", "errors", "passed", "skipped")
    return order.index(counted[0]) if counted[0] in order else len(order)


if __name__ == "__main__":
    sys.exit(main())
