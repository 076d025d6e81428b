"""Show bgtasks at work: the shop under `bgtasksd start --workers 4`, in a folder that is deleted afterwards.

    python demo.py [--database sqlite|postgres|mariadb]

Exits with 1 if anything was not as promised. Everything it starts it also ends.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import django

from warehouse import Warehouse

HERE = Path(__file__).resolve().parent
WORKERS = 4
LONGEST = 100
"""Seconds for everything; what has not become true by then was not as promised."""


class Demo:
    """The daemon, the shop's folder, and what was promised and kept."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.daemon: subprocess.Popen[bytes] | None = None
        self.kept: list[tuple[bool, str]] = []
        self.deadline = time.monotonic() + LONGEST

    def command(self, verb: str, *options: str) -> list[str]:
        """Return a command line of bgtasksd for this demo's own instance."""
        return [sys.executable, "-m", "bgtasksd", verb, "--runtime-dir", str(self.folder / "run"), *options]

    def start(self) -> None:
        """Start the daemon in this terminal, as a person would."""
        self.say(f"bgtasksd start --workers {WORKERS} --max-memory 150M")
        (self.folder / "run").mkdir(mode=0o700)
        options = ["--workers", str(WORKERS), "--max-memory", "150M", "--sleep", "1s", "--drain-timeout", "20s"]
        self.daemon = subprocess.Popen(self.command("start", *options), cwd=HERE, env=self.environment)
        self.promise(f"{WORKERS} workers are up", self.workers_are_up, within=30)

    def workers_are_up(self) -> bool:
        """Ask the daemon, over its socket."""
        states = [worker["state"] for worker in self.status().get("workers", [])]
        return len(states) == WORKERS and set(states) <= {"idle", "busy", "finishing"}

    def status(self) -> dict:
        """Return what `bgtasksd status --json` prints."""
        answer = subprocess.run(
            self.command("status", "--json"), env=self.environment, capture_output=True, check=False
        )
        try:
            return json.loads(answer.stdout)
        except ValueError:
            return {}

    def show_status(self) -> None:
        """Print `bgtasksd status` as people see it."""
        self.say("bgtasksd status")
        subprocess.run(self.command("status"), env=self.environment, check=False)

    def stop(self) -> None:
        """Stop as a person would, and look how the daemon left."""
        self.say("bgtasksd stop")
        subprocess.run(self.command("stop"), env=self.environment, check=False)
        self.promise("the daemon stopped cleanly, with exit code 0", lambda: self.daemon.poll() == 0, within=30)

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(40)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()

    def promise(self, sentence: str, condition: Callable[[], object], within: float = 60) -> None:
        """Wait until something is true, and remember whether it became so."""
        deadline = min(time.monotonic() + within, self.deadline)
        kept = bool(condition())
        while not kept and time.monotonic() < deadline:
            time.sleep(0.1)
            kept = bool(condition())
        self.kept.append((kept, sentence))

    def say(self, command: str) -> None:
        """Print a command that the demo is about to run."""
        print(f"\n$ {command}", flush=True)

    def summary(self) -> int:
        """Print what was promised and return the exit code."""
        print("\nWhat this showed")
        for kept, sentence in self.kept:
            print(f"  {'✓' if kept else '✗'} {sentence}{'' if kept else '   NOT AS PROMISED'}")
        return 0 if all(kept for kept, _ in self.kept) else 1


def main() -> int:
    """Run the demo on the chosen database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres", "mariadb"), default="sqlite")
    options = parser.parse_args()
    started = time.monotonic()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one task crashes on purpose: no core file for that
    with tempfile.TemporaryDirectory(prefix="bgtasks-demo-") as folder:
        code = run(Path(folder), options.database)
    ending = "All as promised" if code == 0 else "Something was NOT as promised"
    print(f"\n{ending}, in {time.monotonic() - started:.0f} s.")
    return code


def run(folder: Path, database: str) -> int:
    """Prepare the project, show what it does, and clean up."""
    warehouse = Warehouse()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "SHOP_VAR": str(folder),
        "SHOP_DEBUG": "0",
        "SHOP_WAREHOUSE_URL": warehouse.url,
        "SHOP_DATABASE": database,
        "SHOP_DATABASE_NAME": f"shop_demo_{os.getpid()}",
    }
    os.environ.update(environment)
    django.setup()
    import story  # needs the settings above

    demo = Demo(folder, environment)
    warehouse.open()
    story.create_database()
    try:
        story.tell(demo, warehouse)
    except KeyboardInterrupt:
        demo.kept.append((False, "the demo ran to its end"))
    finally:
        demo.end()
        warehouse.close()
        story.drop_database()
    return demo.summary()


if __name__ == "__main__":
    sys.exit(main())
