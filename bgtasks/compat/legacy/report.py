"""What an import found and did: counts, and the few rows that a person has to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bgtasks.output import one_line

SHOWN = 20
"""Rows that are named to people."""
KINDS = {
    "waiting": "tasks that wait",
    "due": "of these are due already: they run as soon as a worker starts",
    "repeating": "of these repeat",
    "charged": "were held by an old worker that is gone: one attempt was charged",
    "failed": "had failed: into the history",
    "completed": "of the old history",
    "skipped": "may still be running, and were skipped",
    "known": "were taken over before",
}


@dataclass
class Report:
    """Grows while rows are looked at."""

    counts: Counter[str] = field(default_factory=Counter)
    """By kind: waiting, of these due and repeating; charged, failed, completed, duplicates, skipped, known."""
    unknown_names: Counter[str] = field(default_factory=Counter)
    """Names that no task function here has."""
    left: list[tuple[int, str]] = field(default_factory=list)
    """(old id, why) of rows that stay where they are."""

    def facts(self, *, is_dry: bool) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "schema_version": 1,
            "dry_run": is_dry,
            **{kind: self.counts[kind] for kind in (*KINDS, "duplicates")},
            "unknown_names": dict(self.unknown_names),
            "left": facts_of(self.left),
        }

    def text(self, *, is_dry: bool) -> str:
        """Return it for people; each line of it can be acted on."""
        heading = "would be taken over (nothing was changed):" if is_dry else "taken over:"
        found = [f"  {self.counts[kind]:>9,}  {words}" for kind, words in KINDS.items() if self.counts[kind]]
        lines = [heading, *(found or [f"  {0:>9}  rows"])]
        if self.counts["duplicates"]:
            lines.append(
                f"  ! {self.counts['duplicates']:,} repeating tasks beside an earlier one that equals them:"
                " --dedupe-repeating drops them"
            )
        for name, count in self.unknown_names.most_common(SHOWN):
            lines.append(f"  ! {count:,} named {one_line(name)}: no task function here has this name; they will wait")
        return "\n".join([*lines, *lines_of("row", self.left)])


def facts_of(left: Sequence[tuple[int, str]]) -> list[dict[str, str]]:
    """Return for JSON what stays where it is."""
    return [{"id": str(row_id), "reason": reason} for row_id, reason in left]


def lines_of(what: str, left: Sequence[tuple[int, str]]) -> list[str]:
    """Return the same for people, of the first few."""
    lines = [f"  ! {what} {row_id} stays where it is: {one_line(reason)}" for row_id, reason in left[:SHOWN]]
    return [*lines, f"  ! and {len(left) - SHOWN:,} more; --json lists them all"] if len(left) > SHOWN else lines
