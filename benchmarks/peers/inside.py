"""Runs in a peer's own environment: `python -m benchmarks.peers.inside NAME enqueue|fill|watch|version NUMBER`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

LOOK_EVERY = 0.1
"""Seconds between two looks at what remains."""
BOOT_PATIENCE = 60.0
"""Seconds for the workers to begin."""


def main() -> None:
    """Do what is asked for and print the outcome as JSON."""
    name, what, number = sys.argv[1:4]
    module = import_module(f"benchmarks.peers.{name}")
    if module.PEER.settings:
        import django

        django.setup()
    print(
        json.dumps({"enqueue": enqueue, "fill": fill, "watch": watch, "version": version}[what](module, float(number)))
    )


def enqueue(module: Any, seconds: float) -> list[float]:
    """Store one after the other for that long; return how many, and the seconds."""
    store: Callable[[], None] = module.enqueue
    store()
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        store()
        done += 1
    return [done, time.perf_counter() - begun]


def fill(module: Any, count: float) -> int:
    """Store that many tasks in the quickest documented way."""
    module.fill(int(count))
    return remaining(module)()


def watch(module: Any, seconds: float) -> list[tuple[float, int]]:
    """Look at what remains until nothing does, or for so long since it first became less; return time and count."""
    look = remaining(module)
    most = look()
    print("watching", flush=True)
    begun = time.perf_counter()
    seen = [(0.0, most)]
    ends_at = BOOT_PATIENCE
    while seen[-1][1] and seen[-1][0] < ends_at:
        time.sleep(LOOK_EVERY)
        seen.append((time.perf_counter() - begun, look()))
        if ends_at == BOOT_PATIENCE and seen[-1][1] < most:
            ends_at = seen[-1][0] + seconds
    return seen


def version(module: Any, _number: float) -> dict[str, str]:
    """Return the versions of what was installed, and matters."""
    names = [module.PEER.package, "django", "psycopg", "asyncpg", "redis"]
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def remaining(module: Any) -> Callable[[], int]:
    """Return the function that counts what is not over: by the peer's query, or by its own function."""
    if not module.PEER.remaining:
        own: Callable[[], int] = module.count_remaining
        return own
    import psycopg  # all environments of peers on PostgreSQL have it

    connection = psycopg.connect(autocommit=True)
    return lambda: connection.execute(module.PEER.remaining).fetchone()[0]


if __name__ == "__main__":
    main()
