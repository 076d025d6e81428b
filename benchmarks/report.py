"""Figures as JSON, with what is needed to compare them, and as a line of Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping

import django


def as_json(scenario: str, database: str, figures: Mapping[str, float]) -> str:
    """Return the figures with the versions and the machine they were measured on."""
    return json.dumps(
        {
            "scenario": scenario,
            "database": database,
            "python": platform.python_version(),
            "django": django.get_version(),
            "cores": os.cpu_count(),
            "load_1m": round(os.getloadavg()[0], 2),
            "figures": dict(figures),
        },
        indent=1,
    )


def as_markdown(scenario: str, database: str, figures: Mapping[str, float]) -> str:
    """Return a table with one row."""
    heads = ["scenario", "database", *(name.replace("_", " ") for name in figures)]
    cells = [scenario, database, *(f"{value:,}" for value in figures.values())]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), cells))
