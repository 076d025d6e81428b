"""Figures as JSON, with what is needed to compare them, and as a table of Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

import bgtasks
from benchmarks.repeats import Figure, Measured


def as_json(scenario: str, database: str, measured: Measured) -> str:
    """Return the figures with the versions and the machine they were measured on."""
    figures = {
        variant: {name: figure._asdict() for name, figure in found.items()} for variant, found in measured.items()
    }
    return json.dumps({"scenario": scenario, "database": database, **surroundings(), "figures": figures}, indent=1)


def surroundings() -> dict[str, Any]:
    """Return what a figure depends on: versions, machine, load and day."""
    from benchmarks.database import server_version

    return {
        "server": server_version(),
        "bgtasks": bgtasks.__version__,
        "python": platform.python_version(),
        "django": django.get_version(),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "date": today(),
    }


def today() -> str:
    """Return when this is, for a table's caption."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def as_markdown(scenario: str, database: str, measured: Measured) -> str:
    """Return a table with one row a variant."""
    names = list(dict.fromkeys(name for found in measured.values() for name in found))
    heads = ["scenario", "database", *(name.replace("_", " ") for name in names)]
    rows = [
        [f"{scenario} {variant}".strip(), database, *(shown(found[name]) if name in found else "" for name in names)]
        for variant, found in measured.items()
    ]
    return table(heads, rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def shown(figure: Figure) -> str:
    """Return the median, with the spread if there is one."""
    if figure.minimum == figure.maximum:
        return number(figure.median)
    return f"{number(figure.median)} ({number(figure.minimum)}–{number(figure.maximum)})"


def number(value: float) -> str:
    """Return a number with as many digits as are worth reading."""
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.3g}"


def write_into(page: Path, mark: str, text: str) -> None:
    """Replace what stands in the page between `<!-- mark -->` and `<!-- /mark -->`. Raises ValueError without these."""
    before, begin, rest = page.read_text().partition(f"<!-- {mark} -->")
    _, end, after = rest.partition(f"<!-- /{mark} -->")
    if not end:
        raise ValueError(f"{page} has no place for {mark}: write <!-- {mark} --><!-- /{mark} --> there")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
