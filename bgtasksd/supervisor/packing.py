"""The state of a running supervisor as JSON, for the program that goes on in this process. Nothing is changed here."""

from __future__ import annotations

import dataclasses
import os
import signal
from typing import TYPE_CHECKING, Any

from bgtasksd import journal
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.handover import Luggage, State
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot

if TYPE_CHECKING:
    from bgtasksd.supervisor.run import Supervisor

# What is handed over as it is.
OF_SITUATION = (
    *("started_at", "host", "generation", "reload_failure", "is_draining", "ready_at", "given_back"),
    *("queues", "figures_at", "turned_at", "renewed_at", "are_workers_untold"),
)
OF_SLOT = ("number", "is_unplanned", "is_retiring", "is_surplus", "last_exit", "crashed_in_task_at")
OF_CHILD = (
    *("slot", "generation", "worker", "page_index", "spawned_at", "since", "booted_at", "counter_moved_at"),
    *("concurrency", "drain_deadline", "grace", "step", "limit", "asked_at", "draining_for"),
    *("bye", "error", "was_stopped", "is_unheld", "woken", "woken_at", "memory_bytes"),
)

OF_LINK = ("preloads", "is_wanted", "is_leaving", "started_at", "heard_at", "asked_at", "kill_at")


def pack(supervisor: Supervisor, luggage: Luggage, mask: set[Any]) -> State:
    """Return everything; the signals in `mask` are those that are blocked in normal times."""
    situation = supervisor.situation
    return {
        **_fields(situation, OF_SITUATION),
        "mask": [int(number) for number in mask if number in set(signal.Signals)],
        "options": situation.options.as_json(),
        "skipped": situation.clock.skipped,
        "board": luggage.take(situation.board.descriptor),
        "groups": [[group.queues, group.wanted] for group in situation.slots.groups],
        "slots": [_slot(slot, luggage) for slot in situation.slots],
        "zygote": _link(situation.zygote, luggage),
        "maintenance": _link(situation.maintenance, luggage),
        "lock": luggage.take(supervisor.lock),
        "sockets": supervisor.servers.handed_over(luggage.take),
        "wake": supervisor.waking.socket.handed_over(luggage.take),
        **_records(situation),
        "before_us": sorted(supervisor.strays.before_us),
        "changes": supervisor.changes.last,
        "drain": supervisor.draining.handed_over(),
        "following": supervisor.following.number,
        "generations": supervisor.generations.numbers,
        "database_of_tasks": supervisor.reloading.database,
        "started_wall": supervisor.viewing.started_at,
        "problems": [[code, subject, at] for (code, subject), at in supervisor.viewing.since.items()],
        "log": journal.in_force(),
        "cwd": os.getcwd(),  # noqa: PTH109 - a string is wanted
        "time_zone": os.environ.get("TZ"),
    }


def _records(situation: Situation) -> State:
    return {
        "totals": situation.totals.as_json(),
        "executions": situation.executions.as_json(),
        "budget": dataclasses.asdict(situation.budget),
        "deaths": situation.deaths.as_json(),
        "database": dataclasses.asdict(situation.database),
        "events": list(situation.events.kept),
        "strays_reaped": [[pid, dataclasses.astuple(exit_)] for pid, exit_ in situation.strays_reaped.items()],
    }


def _fields(thing: object, names: tuple[str, ...]) -> State:
    return {name: getattr(thing, name) for name in names}


def _slot(slot: Slot, luggage: Luggage) -> State:
    return {
        **_fields(slot, OF_SLOT),
        "queues": slot.queues,
        "backoff": dataclasses.asdict(slot.backoff),
        "child": slot.child and _child(slot.child, luggage),
        "successor": slot.successor and _child(slot.successor, luggage),
        "leaving": [_child(child, luggage) for child in slot.leaving],
    }


def _child(child: Child, luggage: Luggage) -> State:
    return {
        **_fields(child, OF_CHILD),
        "state": child.state,
        "cause": child.cause,
        "record": list(child.record),
        "place_indexes": child.place_indexes,
        "task_deadlines": list(child.task_deadlines.items()),
        "interruptions": [[sequence, dataclasses.astuple(each)] for sequence, each in child.interruptions.items()],
        "history": list(child.history),
        "channel": luggage.take(child.channel),
        "dump": luggage.take(child.dump),
        "pid": child.pid,
        "pidfd": child.process and luggage.take(child.process),
    }


def _link(link: Link, luggage: Luggage) -> State:
    return {
        **_fields(link, OF_LINK),
        "state": link.state,
        "backoff": dataclasses.asdict(link.backoff),
        "dump": luggage.take(link.dump),
        "pid": link.pid,
        "pidfd": link.process and luggage.take(link.process),
        "channel": link.channel and luggage.take(link.channel),
    }
