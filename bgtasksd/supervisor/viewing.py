"""The supervisor's state as facts for `status`, and since when each problem lasts."""

from __future__ import annotations

import json
import os
from typing import Any

from bgtasksd import facts
from bgtasksd.children.process import run_state
from bgtasksd.problems import problems
from bgtasksd.scoreboard import Record, Told, WorkState
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.clock import wall_time
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.runtime_dir import RuntimeDir
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot
from bgtasksd.supervisor.states import WORKING, State

LOOK_INTERVAL = 5.0
MOST_TOLD, MOST_TOLD_IN_ALL = 100, 3000
"""Tasks of one worker, and of all: an answer has its bounds, and clients of ours read no more than a mebibyte."""


class Viewing:
    """Looks at the whole daemon, every few seconds and whenever somebody asks."""

    def __init__(self, situation: Situation, runtime_dir: RuntimeDir) -> None:
        self.situation = situation
        self.runtime_dir = runtime_dir
        self.started_at = wall_time()
        self.short_since: float | None = None
        self.since: dict[tuple[str, str | None], str] = {}
        self.looked_at = 0.0

    def next_at(self) -> float | None:
        """Return when the next look is due."""
        return self.looked_at + LOOK_INTERVAL

    def run(self) -> None:
        """Note what only time shows."""
        situation, now = self.situation, self.situation.clock.now()
        if situation.slots.ready >= situation.slots.target:
            self.short_since = None
        elif self.short_since is None:
            self.short_since = now
        if now - self.looked_at >= LOOK_INTERVAL:
            self.looked_at = now
            situation.totals.sample(now, situation.totals.sum(self._records()))
            self._remember(problems(self.view()))

    def status(self, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer the control command `status`."""
        seen = self.view()
        found = problems(seen)
        self._remember(found)
        return facts.as_json(seen, found, {each: self.since[each.code, each.subject] for each in found})

    def _remember(self, found: list[facts.Problem]) -> None:
        """Keep since when each problem lasts; one that is new or gone is an event."""
        now, events = wall_time(), self.situation.events
        known, self.since = self.since, {}
        for each in found:
            key = (each.code, each.subject)
            self.since[key] = known.get(key) or now
            if key not in known:
                text = f"{each.subject}: {each.message}" if each.subject else each.message
                events.note("problem", text, each.severity, code=each.code, subject=each.subject)
        for code, subject in known.keys() - self.since.keys():
            events.note("problem_gone", f"{subject}: {code}" if subject else code, code=code, subject=subject)

    def _records(self) -> list[Any]:
        return [child.page.read() for child in self.situation.slots.children()]

    def view(self) -> facts.Facts:
        """Return everything as it is now."""
        situation, options = self.situation, self.situation.options
        total = situation.totals.sum(self._records())
        database = situation.database
        return facts.Facts(
            instance=options.instance,
            host=situation.host,
            pid=os.getpid(),
            version=options.version,
            settings=options.settings,
            is_stopping=situation.is_stopping,
            is_draining=situation.is_draining,
            ready_for_s=self._age(situation.ready_at),
            is_reloading=situation.is_reloading,
            reload_failure=situation.reload_failure,
            is_failed=situation.slots.are_hopeless,
            started_at=self.started_at,
            uptime_s=self._age(situation.started_at) or 0.0,
            workers_target=situation.slots.target,
            ready=situation.slots.ready,
            short_for_s=self._age(self.short_since),
            workers=tuple(self._worker(slot) for slot in situation.slots),
            unkillable=self._unkillable(),
            queues=tuple(situation.queues),
            queues_left_out=situation.queues_left_out,
            figures_age_s=self._age(situation.figures_at),
            totals=facts.totals_of(total, situation.totals.recycled),
            last_hour=situation.totals.last_hour(total),
            zygote={**_process(situation.zygote), "generation": situation.generation},
            maintenance={
                **_process(situation.maintenance),
                "last_turn_s": self._age(situation.turned_at),
                "last_renewal_s": self._age(situation.renewed_at),
            },
            renewal_limit_s=options.lease * 2 / 3,
            database={
                "alias": database.alias,
                "vendor": database.vendor,
                "reachable": database.is_reachable,
                "last_contact_s": self._age(database.contact_at),
            },
            database_down_s=self._age(database.down_since),
            is_migrated=database.is_migrated,
            is_directory_lost=self.runtime_dir.is_lost,
        )

    def _worker(self, slot: Slot) -> facts.WorkerFacts:
        child = slot.child
        if child is None:
            return facts.WorkerFacts(
                slot=slot.number, queues=slot.queues,
                state="backoff" if slot.is_in_backoff else "spawning", last_exit=slot.last_exit,
            )  # fmt: skip
        record, running = child.page.read(), child.page.running()
        tasks = self._tasks(running)
        first = tasks[0] if tasks else {}
        return facts.WorkerFacts(
            slot=slot.number,
            queues=slot.queues,
            pid=child.pid,
            generation=child.generation,
            state=_state(child, record.state, is_leaving=slot.is_surplus),
            running=len(running),
            tasks=tasks,
            **first,
            progress=_progress(child.page.told({(task.task_id, task.token) for task in running})),
            memory_bytes=child.memory_bytes,
            done=record.done,
            failed=record.failed,
            age_s=self._age(child.spawned_at) or 0.0,
            last_exit=slot.last_exit,
        )

    def _tasks(self, running: list[Record]) -> list[dict[str, Any]]:
        """Return what a worker runs, what runs for the longest time first."""
        at = self.situation.clock.at
        most = max(1, min(MOST_TOLD, MOST_TOLD_IN_ALL // len(self.situation.slots.all)))
        return [
            {
                "task": task.task_name,
                "task_id": str(task.task_id),
                "running_for_s": self._age(at(task.started_at)),
            }
            for task in sorted(running, key=lambda task: task.started_at)[:most]
        ]

    def _unkillable(self) -> tuple[tuple[int, int | None], ...]:
        children = self.situation.slots.children()
        return tuple((child.slot, child.pid) for child in children if child.state is State.UNKILLABLE)

    def _age(self, moment: float | None) -> float | None:
        return None if moment is None else round(max(0.0, self.situation.clock.now() - moment), 3)


def _state(child: Child, work_state: WorkState, *, is_leaving: bool) -> str:
    """Return the state as of now: the record may be ahead of the last turn."""
    if child.pid is not None and run_state(child.pid) in ("T", "t"):
        return "stopped"
    if child.state in WORKING:
        if is_leaving:
            return "draining"
        return {WorkState.BUSY: "busy", WorkState.FINISHING: "finishing"}.get(work_state, "idle")
    return str(child.state)


def _progress(told: Told | None) -> dict[str, Any] | None:
    try:
        return None if told is None else dict(json.loads(told.text))
    except (TypeError, ValueError):  # a task has written over its page
        return None


def _process(link: Link) -> dict[str, Any]:
    state = "starting" if link.is_to_come else str(link.state)
    return {"pid": link.pid, "state": "running" if link.name == "maintenance" and link.is_ready else state}
