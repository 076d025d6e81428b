"""What `top` shows, made from two looks at a daemon: values in, lines out; with rich in colour, else plain."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bgtasks.output import format_count, one_line, table
from bgtasksd.cli.health import headline, problem_line, short, told_progress
from bgtasksd.status import UP

Facts = dict[str, Any]
Row = list[str]
WORKERS = ("slot", "state", "for", "task", "done", "failed", "memory", "age", "last exit")
QUEUES = ("queue", "ready", "oldest", "scheduled", "running", "workers", "")
NUMBERS = frozenset({"slot", "done", "failed", "memory", "ready", "scheduled", "running", "workers"})
TONES = {"busy": "green", "idle": "dim", "backoff": "red", "killing": "red", "unkillable": "red", "stopped": "red"}
WIDTH = 300
"""Columns of a table: nothing is squeezed, what is too wide for a terminal is cut at its right edge."""
HINT = "pip install 'django-bgtasks[cli]' for tables in colour"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a daemon: when, on the monotonic clock, and what it said."""

    at: float
    facts: Facts


def rates(before: Look | None, now: Look) -> str:
    """Return how much was done in a second between two looks; nothing with one, or when the daemon is another."""
    if before is None or before.facts["pid"] != now.facts["pid"] or now.at <= before.at:
        return ""
    seconds = now.at - before.at
    told = []
    for name in ("done", "failed", "retried"):
        count = now.facts["totals"][name] - before.facts["totals"][name]
        if count or name == "done":
            told.append(f"{max(0.0, count / seconds):,.1f} {name}/s")
    return "   ".join(told)


def lines(before: Look | None, now: Look, draw: Callable[[tuple[str, ...], list[Row]], str], colour: bool) -> list[str]:
    """Return everything from the headline to the workers; `draw` makes a table of headings and rows."""
    facts = now.facts
    text = [headline(facts, colour=colour), _summary(facts, rates(before, now))]
    text += [problem_line(problem, colour=colour) for problem in facts["problems"]]
    if facts["queues"]:
        text += ["", *draw(QUEUES, [_queue(queue, facts["count_cap"]) for queue in facts["queues"]]).split("\n")]
        text += [f"and {facts['queues_left_out']:,} more"] if facts["queues_left_out"] else []
    # the workers last: of many there may not be room for all
    text += ["", *draw(WORKERS, [_worker(worker) for worker in facts["workers"]]).split("\n")]
    return text


def plain(headings: tuple[str, ...], rows: list[Row]) -> str:
    """Return a table in plain text, its numbers to the right."""
    numbers = [at for at, heading in enumerate(headings) if heading in NUMBERS]
    widths = {at: max(len(row[at]) for row in [list(headings), *rows]) for at in numbers}
    aligned = [[cell.rjust(widths.get(at, 0)) for at, cell in enumerate(row)] for row in [list(headings), *rows]]
    return "\n".join(f"  {line}" for line in table(aligned[1:], aligned[0]).split("\n"))


def rich_drawing(*, colour: bool) -> Callable[[tuple[str, ...], list[Row]], str]:
    """Return what draws tables with rich. Raises ImportError where that is not installed."""
    from rich.console import Console  # optional, and most verbs do without
    from rich.table import Table
    from rich.text import Text

    def draw(headings: tuple[str, ...], rows: list[Row]) -> str:
        made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold dim")
        for heading in headings:
            made.add_column(heading, justify="right" if heading in NUMBERS else "left", no_wrap=True)
        for row in rows:
            made.add_row(*(Text(cell, TONES.get(cell, "")) for cell in row))
        system = "standard" if colour else None
        console = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, color_system=system)  # type: ignore[arg-type]
        console.print(made)
        drawn: str = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(f"  {line.rstrip()}" for line in drawn.rstrip("\n").split("\n"))

    return draw


def _summary(facts: Facts, speed: str) -> str:
    states = [worker["state"] for worker in facts["workers"]]
    up, busy = sum(state in UP for state in states), states.count("busy")
    size = sum(worker["memory_bytes"] or 0 for worker in facts["workers"])
    parts = [f"{up}/{facts['workers_target']} workers up, {busy} busy", speed, memory(size) if size else ""]
    return "  " + "   ".join(part for part in parts if part)


def _worker(worker: Facts) -> Row:
    running = worker["running_for_s"]
    return [
        str(worker["slot"]),
        worker["state"],
        "" if running is None else short(running),
        f"{tasks_of(worker)}  {told_progress(worker)}".rstrip(),
        format_count(worker["done"]),
        format_count(worker["failed"]),
        "" if worker["memory_bytes"] is None else memory(worker["memory_bytes"]),
        short(worker["age_s"]),
        worker["last_exit"] or "",
    ]


def tasks_of(worker: Facts) -> str:
    """Return the task of a worker; of several the one that runs for the longest time, and how many there are."""
    others = worker.get("running", 0) - 1
    return one_line(worker["task"] or "") + (f" and {others:,} more" if others > 0 else "")


def _queue(queue: Facts, cap: int) -> Row:
    oldest = queue["oldest_ready_age_s"]
    pause = queue["pause"] or {}
    counts = [format_count(queue[name], cap) for name in ("scheduled", "running")]
    return [
        one_line(queue["name"]),
        format_count(queue["ready"], cap),
        "" if oldest is None else short(oldest),
        *counts,
        "" if queue["workers"] is None else str(queue["workers"]),
        f"PAUSED {one_line(pause.get('by') or '')}".rstrip() if queue["paused"] else "",
    ]


def memory(size: int) -> str:
    """Return `118 MB`."""
    return f"{size / 2**20:,.0f} MB"
