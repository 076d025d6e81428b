"""Run the tests on every database that answers: all of them on the first, on the others what depends on a database.

    python tests/databases.py [--database all|sqlite|postgres|mariadb] [--lanes N] [-- arguments of pytest]

What was left out is named, with the reason; with CI=true leaving something out is a failure. Most of a test's time is
waiting, so they run in lanes beside one another, in parts of about equal length; the first lane is shown as it runs.

Beside two other lanes a deadline may pass on a busy machine: a few failures are run a second time, with nothing beside
them. What passes then is reported as flaky, by name; what fails again, or more than a few, is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDORS = ("sqlite", "postgres", "mariadb")
PROCESSES = ("lifecycle", "faults", "waking", "example", "soak")
CORE = ("bgtasks", "contract", "heritage", "conformance", "tasks_backend")
"""Folders below tests/ whose outcome may depend on the database, in two parts. Everything else runs once."""
TESTS_FAILED, NOTHING_COLLECTED = 1, 5
"""Pytest's exit codes for a part with failures, and for one in which nothing was chosen."""
WORTH_A_SECOND_RUN = 5
"""More failures than these, in all parts together, are no accident of a busy machine."""

CLOSING = re.compile(r"^(?:=+ )?(?P<counts>(?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)


@dataclass
class Part:
    """Tests that run in one go on one database, and how they ended."""

    vendor: str
    name: str
    paths: list[str]
    exit_code: int = 0
    printed: bytes = b""
    """What is still to be shown."""
    closing: str = "no tests ran"
    counts: dict[str, int] = field(default_factory=dict)
    flaky: list[str] = field(default_factory=list)
    """The tests that failed beside others and passed alone."""

    @property
    def cache(self) -> Path:
        """Return where pytest notes what failed in this part."""
        return ROOT / ".pytest_cache" / f"{self.vendor}-{self.name.replace(' ', '-')}"

    def failed(self) -> list[str]:
        """Return the tests that failed when the part ran last."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(json.loads((self.cache / "v/cache/lastfailed").read_text()))
        return []


def main() -> int:
    """Run, report, and return the exit code."""
    options, given = parse(sys.argv[1:])
    started = time.monotonic()
    vendors = VENDORS if options.database == "all" else (options.database,)
    left_out = {vendor: reason for vendor in vendors if (reason := why_unreachable(vendor))}
    running = [vendor for vendor in vendors if vendor not in left_out]
    parts = [part for at, vendor in enumerate(running) for part in parts_of(vendor, given, everything=at == 0)]
    for part in parts:
        shutil.rmtree(part.cache, ignore_errors=True)
    run_in_lanes(parts, given, options.lanes)
    run_again([part for part in parts if part.exit_code == TESTS_FAILED], given)
    return report(vendors, left_out, parts, time.monotonic() - started)


def parts_of(vendor: str, given: list[str], *, everything: bool) -> list[Part]:
    """Return what is to run on a database."""
    if any((ROOT / argument.partition("::")[0]).exists() for argument in given if not argument.startswith("-")):
        return [Part(vendor, "what was named", [])]
    groups = {"processes": PROCESSES, "core": CORE}
    if everything:
        known = {*PROCESSES, *CORE}
        groups["the rest"] = tuple(path.name for path in sorted((ROOT / "tests").iterdir()) if _is_other(path, known))
    return [Part(vendor, name, [f"tests/{each}" for each in folders]) for name, folders in groups.items()]


def _is_other(path: Path, known: set[str]) -> bool:
    """Tell whether a path below tests/ holds tests and is none of these folders."""
    if path.is_dir():
        return path.name not in known and next(path.rglob("test_*.py"), None) is not None
    return path.name.startswith("test_")


def run_in_lanes(parts: list[Part], given: list[str], lanes: int) -> None:
    """Run the parts, so many at a time: the first lane from the beginning and shown, the others from the end."""
    waiting, done = deque(parts), list[Part]()

    def work() -> None:
        with contextlib.suppress(IndexError):
            while True:
                done.append(run(waiting.pop(), given, is_shown=False))

    with ThreadPoolExecutor(max_workers=max(1, lanes - 1)) as pool:
        others = [pool.submit(work) for _ in range(lanes - 1)]
        with contextlib.suppress(IndexError):
            while True:
                run(waiting.popleft(), given, is_shown=True)
                show(done)
        for other in others:
            other.result()
    show(done)


def run_again(parts: list[Part], given: list[str]) -> None:
    """Run the few tests that failed once more, one part after the other, and note as flaky what passes now."""
    failed = [part.failed() for part in parts]
    if not all(failed) or sum(map(len, failed)) > WORTH_A_SECOND_RUN:
        return
    for part, before in zip(parts, failed, strict=True):
        second = Part(part.vendor, part.name, part.paths)
        run(second, ["--last-failed", *given], is_shown=True)
        still = second.failed()
        part.exit_code = second.exit_code
        part.flaky = [test for test in before if test not in still]
        part.counts |= {"failed": len(still), "errors": 0, "error": 0, "flaky": len(part.flaky)}


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options, and what follows `--`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("all", *VENDORS), default="all")
    parser.add_argument("--lanes", type=int, default=3, help="how many parts run at a time (default: 3)")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    return parser.parse_args(arguments[:cut]), arguments[cut + 1 :]


def run(part: Part, given: list[str], *, is_shown: bool) -> Part:
    """Run one part and note how it ended."""
    if is_shown:
        print(heading(part), flush=True)
    # -X dev shows what Python would otherwise keep to itself, without reaching the processes that tests start
    command = [sys.executable, "-X", "dev", "-m", "pytest", "-o", f"cache_dir={part.cache}", *part.paths, *given]
    if sys.stdout.isatty():
        command.append("--color=yes")
    apart = f"{os.environ.get('BGTASKS_TEST_SUFFIX', 'main')}_{part.name.split()[-1]}"
    environment = {**os.environ, "BGTASKS_TEST_DB": part.vendor, "BGTASKS_TEST_SUFFIX": apart}
    finish(part, command, environment, is_shown=is_shown)
    return part


def heading(part: Part) -> str:
    """Return what stands above the output of a part."""
    return f"\n== tests on {part.vendor}: {part.name}"


def show(done: list[Part]) -> None:
    """Print what parts beside the first lane have printed, once."""
    while done:
        part = done.pop(0)
        print(heading(part), flush=True)
        sys.stdout.buffer.write(part.printed)
        sys.stdout.buffer.flush()


def finish(part: Part, command: list[str], environment: dict[str, str], *, is_shown: bool) -> None:
    """Run pytest, pass on what it prints as it comes or keep it, and find its closing line."""
    printed = bytearray()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        while piece := os.read(child.stdout.fileno(), 65536):
            if is_shown:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            printed += piece
    part.exit_code = 0 if child.returncode == NOTHING_COLLECTED else child.returncode
    part.printed = bytes(printed)
    text = re.sub(r"\x1b\[[\d;]*m", "", printed[-4000:].decode(errors="replace"))
    for match in CLOSING.finditer(text):
        part.closing = match[0].strip("= ")
        part.counts = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", match["counts"])}


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


def report(vendors: Sequence[str], left_out: dict[str, str], parts: list[Part], seconds: float) -> int:
    """Print a line for each part and the sum as pytest words it; return the exit code."""
    print()
    for vendor, reason in left_out.items():
        print(f"{vendor:<9} LEFT OUT: {reason}")
    total: Counter[str] = Counter()
    for part in parts:
        print(f"{part.vendor:<9} {part.name:<14} {part.closing}")
        for test in part.flaky:
            print(f"{part.vendor:<9} FLAKY: {test} failed beside other tests and passed alone")
        total.update(part.counts)
    incomplete = bool(left_out) and (os.environ.get("CI") == "true" or len(left_out) == len(vendors))
    if incomplete:
        print(f"failed: nothing may be left out here, and {', '.join(left_out)} was")
    counts = ", ".join(f"{number} {word}" for word, number in sorted(total.items(), key=_failures_first) if number)
    print(f"======== {counts or 'no tests ran'} in {seconds:.2f}s ========", flush=True)
    worst = max((part.exit_code for part in parts), default=0)
    return 1 if incomplete else worst or (0 if total else NOTHING_COLLECTED)


def _failures_first(counted: tuple[str, int]) -> int:
    order = ("failed", "error", "errors", "flaky", "passed", "skipped")
    return order.index(counted[0]) if counted[0] in order else len(order)


if __name__ == "__main__":
    sys.exit(main())
