"""A supervisor that goes on from the state which the program before it has left in the same process."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

from bgtasksd.children.channel import from_descriptor
from bgtasksd.children.exits import Exit
from bgtasksd.children.process import Process
from bgtasksd.scoreboard import Board, Record, WorkState
from bgtasksd.supervisor import exits, hearing
from bgtasksd.supervisor.child import Cause, Child, Interruption
from bgtasksd.supervisor.handover import State
from bgtasksd.supervisor.link import Link, LinkState
from bgtasksd.supervisor.loop import Rank
from bgtasksd.supervisor.packing import OF_CHILD, OF_LINK, OF_SITUATION, OF_SLOT
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Group, Slot
from bgtasksd.supervisor.states import State as WorkerState

if TYPE_CHECKING:
    from bgtasksd.supervisor.run import Supervisor


def unpack(supervisor: Supervisor, state: State) -> None:
    """Put everything in its place, and watch it."""
    situation = supervisor.situation
    situation.clock.skipped = state["skipped"]
    _set(situation, state, OF_SITUATION)
    if state.get("was_ready"):  # all that a program of before tells
        situation.ready_at = situation.started_at
    _unpack_workers(situation, state)
    _unpack_link(situation.zygote, state["zygote"])
    _unpack_link(situation.maintenance, state["maintenance"])
    _unpack_records(situation, state)
    supervisor.servers.take_over(state["sockets"], situation.loop.selector)
    supervisor.waking.take_over(state["wake"])
    supervisor.strays.before_us.update(state.get("before_us", ()))  # a program of before does not tell
    supervisor.changes.last = state["changes"]
    supervisor.draining.take_over(state["drain"])
    supervisor.following.number = state["following"]
    supervisor.generations.numbers = state["generations"]
    supervisor.viewing.started_at = state["started_wall"]
    supervisor.viewing.since = {(code, subject): at for code, subject, at in state["problems"]}


def _unpack_workers(situation: Situation, state: State) -> None:
    situation.board.close()
    situation.board = Board.at(state["board"])
    slots = situation.slots
    slots.groups = [Group(_queues(queues), wanted) for queues, wanted in state["groups"]]
    slots.all = [_slot(situation, each) for each in state["slots"]]
    used = {index for child in slots.children() for index in (child.page_index, *child.place_indexes)}
    situation.board.take_back(used)


def _unpack_records(situation: Situation, state: State) -> None:
    situation.totals.take_over(state["totals"])
    situation.executions.merge(state["executions"])
    situation.deaths.take_over(state["deaths"])
    _set(situation.budget, state["budget"], _names(situation.budget))
    _set(situation.database, state["database"], _names(situation.database))
    situation.events.kept.extend(state["events"])
    situation.strays_reaped.update({pid: Exit(*facts) for pid, facts in state["strays_reaped"]})


def _set(thing: object, state: State, names: tuple[str, ...]) -> None:
    for name in names:
        if name in state:
            setattr(thing, name, state[name])


def _names(thing: Any) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(thing))


def _queues(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _slot(situation: Situation, state: State) -> Slot:
    slot = Slot(state["number"], _queues(state["queues"]))
    _set(slot, state, OF_SLOT)
    _set(slot.backoff, state["backoff"], _names(slot.backoff))
    slot.child = state["child"] and _child(situation, state["child"])
    slot.successor = state["successor"] and _child(situation, state["successor"])
    slot.leaving = [_child(situation, each) for each in state["leaving"]]
    return slot


def _child(situation: Situation, state: State) -> Child:
    process = None if state["pid"] is None else Process(state["pid"], state["pidfd"])
    child = Child(
        slot=state["slot"],
        generation=state["generation"],
        worker=state["worker"],
        page_index=state["page_index"],
        page=situation.board.page(state["page_index"]),
        channel=from_descriptor(state["channel"]),
        dump=state["dump"],
        spawned_at=state["spawned_at"],
        state=WorkerState(state["state"]),
        process=process,
        cause=state["cause"] and Cause(state["cause"]),
        record=Record(WorkState(state["record"][0]), *state["record"][1:]),
    )
    _set(child, state, OF_CHILD)
    child.place_indexes = tuple(state["place_indexes"])
    child.page.places = situation.board.places(child.place_indexes, child.concurrency)
    child.tasks = child.page.tasks()
    child.task_deadlines = dict(state["task_deadlines"])
    child.interruptions = {
        sequence: Interruption(Cause(cause), *rest) for sequence, (cause, *rest) in state["interruptions"]
    }
    child.history.extend((at, WorkerState(name)) for at, name in state["history"])
    _watch(situation, child)
    return child


def _watch(situation: Situation, child: Child) -> None:
    rebuild = partial(exits.discard, situation, child)
    situation.loop.watch(child.channel, Rank.MESSAGE, partial(hearing.hear_worker, situation, child), rebuild)
    if child.process is not None:
        situation.loop.watch(child.process, Rank.EXIT, partial(hearing.has_ended, situation, child), rebuild)


def _unpack_link(link: Link, state: State) -> None:
    _set(link, state, OF_LINK)
    _set(link.backoff, state["backoff"], _names(link.backoff))
    link.close()
    link.dump = state["dump"]
    link.state = LinkState(state["state"])
    if state["pid"] is not None and state["channel"] is not None:
        link.hold(Process(state["pid"], state["pidfd"]), from_descriptor(state["channel"]))
