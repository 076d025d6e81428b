"""What an import of schedules found and did: what became of each, and what a person has to do about the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from bgtasks.compat.schedules.schedule import NotTaken, Schedule
from bgtasks.models import Task
from bgtasks.output import one_line, table
from bgtasks.units import format_duration

SHOWN = 20
"""Schedules, and reasons, that are shown to people."""
NAMED = 5
"""Schedules that are named for one reason."""
KINDS = {
    "repeating": "become tasks that repeat",
    "once": "become tasks that run once",
    "due": "of these are due already: they run as soon as a worker starts",
    "known": "were taken over before",
    "skipped": "are not fired there any more: there is nothing to take over",
    "left": "stay where they are",
}


@dataclass
class Report:
    """Grows while schedules are looked at."""

    title: str
    """What people call the old package."""
    disables_source: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    taken: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    left: list[dict[str, str]] = field(default_factory=list)
    firing: list[int] = field(default_factory=list)
    """Ids of schedules that are here and would be fired there as well."""
    called: set[str] = field(default_factory=set)
    """Names of the functions there."""
    uncalled: list[str] = field(default_factory=list)
    """Names of --map that no schedule calls."""

    def add_known(self, row_id: int, *, is_firing: bool) -> None:
        """Count one that was taken over before."""
        self.counts["known"] += 1
        if is_firing:
            self.firing.append(row_id)

    def add_skipped(self, row_id: int, name: str, why: Exception) -> None:
        """Note one that the old package does not fire any more."""
        self.counts["skipped"] += 1
        self.skipped.append({"id": str(row_id), "name": name, "reason": str(why)})

    def add_left(self, row_id: int, name: str, why: NotTaken) -> None:
        """Note one that a person has to look at."""
        self.counts["left"] += 1
        self.left.append({"id": str(row_id), "name": name, "reason": str(why), "fix": why.fix})

    def add_taken(self, row_id: int, name: str, schedule: Schedule, task: Task, now: datetime) -> None:
        """Note what one became."""
        self.counts["repeating" if task.repeat else "once"] += 1
        self.counts["due"] += schedule.run_at <= now
        self.firing.append(row_id)
        self.taken.append({
            "id": str(row_id), "name": name, "function": task.task_name, "repeat_s": task.repeat, "queue": task.queue,
            "run_at": _utc(schedule.run_at), "repeat_until": _utc(schedule.until), "remarks": schedule.remarks,
        })  # fmt: skip

    def facts(self, *, is_dry: bool) -> dict[str, Any]:
        """Return it for JSON."""
        counted = {kind: self.counts[kind] for kind in ("repeating", "once", "due", "known")}
        found = {"taken": self.taken, "skipped": self.skipped, "left": self.left}
        disabled = len(self.firing) if self.disables_source else 0
        return {"schema_version": 1, "dry_run": is_dry, **counted, "disabled_there": disabled, **found}

    def text(self, *, is_dry: bool) -> str:
        """Return it for people; each line of it can be acted on."""
        heading = f"the schedules of {self.title}" + (" (nothing was changed; --commit does it):" if is_dry else ":")
        lines = [
            heading,
            *(f"  {self.counts[kind]:>9,}  {words}" for kind, words in KINDS.items() if self.counts[kind]),
        ]
        lines += [f"  {0:>9}  found"] if len(lines) == 1 else []
        lines += self._becoming()
        remarks = ((each["name"], remark) for each in self.taken for remark in each["remarks"])
        lines += _grouped("-", remarks)
        lines += _grouped("-", ((each["name"], f"skipped: {each['reason']}") for each in self.skipped))
        lines += _grouped("!", ((each["name"], _advised(each)) for each in self.left))
        lines += [
            f"  ! --map {one_line(name)}: no schedule that could be taken over calls it" for name in self.uncalled
        ]
        return "\n".join([*lines, *self._firing_twice(is_dry=is_dry)])

    def _becoming(self) -> list[str]:
        rows = [
            (each["name"], each["function"], _pace(each["repeat_s"]), _local(each["run_at"]), each["queue"])
            for each in self.taken[:SHOWN]
        ]
        lines = table(rows, ("schedule", "function", "runs", "first due", "queue")).split("\n") if rows else []
        more = len(self.taken) - SHOWN
        return [f"  {line}" for line in lines] + ([f"  and {more:,} more; --json lists them all"] if more > 0 else [])

    def _firing_twice(self, *, is_dry: bool) -> list[str]:
        if not self.firing:
            return []
        count = f"{len(self.firing):,} of these"
        if self.disables_source:
            return [f"  {count} {'would be' if is_dry else 'were'} disabled in {self.title}"]
        return [
            f"  ! {count} stay enabled in {self.title}: stop it for good, or add --disable-source; else they run twice"
        ]


def _grouped(sign: str, told: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each thing told, with the names it is told of."""
    names: dict[str, list[str]] = {}
    for name, what in told:
        names.setdefault(what, []).append(name)
    lines = [f"  {sign} {_listed(names[what])}: {one_line(what)}" for what in list(names)[:SHOWN]]
    return [*lines, f"  {sign} and {len(names) - SHOWN:,} more; --json lists all"] if len(names) > SHOWN else lines


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"“{one_line(name)}”" for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED:,} more" if len(names) > NAMED else shown


def _advised(left: dict[str, str]) -> str:
    return f"{left['reason']}; {left['fix']}" if left["fix"] else left["reason"]


def _pace(seconds: int) -> str:
    if not seconds:
        return "once"
    is_exact = seconds % 86400 == 0 if seconds >= 2 * 86400 else seconds % 60 == 0
    return f"every {format_duration(seconds) if is_exact else f'{seconds:,} s'}"


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _local(moment: str) -> str:
    return timezone.localtime(datetime.fromisoformat(moment)).isoformat(" ", "seconds")
