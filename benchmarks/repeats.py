"""Several variants of a scenario, measured in turn again and again: what drifts on the machine hits all alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import NamedTuple

Figures = Mapping[str, float]
Run = Callable[[argparse.Namespace], Figures]


class Variant(NamedTuple):
    """A name, and the options that differ from those given."""

    name: str
    changes: Mapping[str, object]


class Figure(NamedTuple):
    """One figure over all repeats."""

    median: float
    minimum: float
    maximum: float
    values: list[float]


Measured = dict[str, dict[str, Figure]]
"""Figures by variant and name."""


def interleaved(
    run: Run, variants: Iterable[Variant], options: argparse.Namespace, between: Callable[[], None]
) -> Measured:
    """Measure each variant once, then each again, `options.repeats` times; `between` puts things back."""
    variants = list(variants)
    seen: dict[str, list[Figures]] = {variant.name: [] for variant in variants}
    for _ in range(options.repeats):
        for variant in variants:
            between()
            seen[variant.name].append(run(argparse.Namespace(**{**vars(options), **variant.changes})))
    return {name: together(runs) for name, runs in seen.items()}


def together(runs: list[Figures]) -> dict[str, Figure]:
    """Return median, least and most of each figure; one that only some runs have is taken from these."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: spread([run[name] for run in runs if name in run]) for name in names}


def spread(values: list[float]) -> Figure:
    """Return the median with least and most."""
    return Figure(median(values), min(values), max(values), values)
