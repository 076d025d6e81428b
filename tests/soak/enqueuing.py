"""The process that enqueues the mix at an even rate, and writes down what it asked for and what was stored.

python -m tests.soak.enqueuing RATE SEED FILE        until SIGTERM
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import django


def main() -> None:
    """Enqueue until told to stop. A database that is away costs the calls of that time."""
    rate, seed, path = float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    django.setup()
    from django.db import Error, connections

    orders: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: orders.append(number))
    chance, began = random.Random(seed), time.monotonic()
    with path.open("a", buffering=1) as file:
        for number in itertools.count(1):
            if orders:
                return
            task, arguments = choose(chance, number)
            say(file, asked=number)
            try:
                say(file, stored=number, id=task.enqueue(*arguments).pk)
            except Error as error:
                connections.close_all()
                say(file, failed=number, error=str(error))
                time.sleep(0.2)
            time.sleep(max(0.0, began + number / rate - time.monotonic()))


def choose(chance: random.Random, number: int) -> tuple[Any, tuple[Any, ...]]:
    """Return a task of the mix: 90 % of 1–20 ms, 8 % of 1 s, 1 % failing, 1 % atomic."""
    from tests.soak import tasks

    drawn = chance.random()
    if drawn < 0.90:
        return tasks.short, (number, round(chance.uniform(0.001, 0.02), 4))
    if drawn < 0.98:
        return tasks.long, (number,)
    return (tasks.failing if drawn < 0.99 else tasks.effect), (number,)


def say(file: TextIO, **facts: Any) -> None:
    """Write one line."""
    file.write(json.dumps(facts) + "\n")


def read(path: Path) -> tuple[set[int], dict[int, int]]:
    """Return the numbers that were asked for, and the ids of those that are known to be stored."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    stored = {line["stored"]: line["id"] for line in lines if "stored" in line}
    return {line["asked"] for line in lines if "asked" in line}, stored


if __name__ == "__main__":
    main()
