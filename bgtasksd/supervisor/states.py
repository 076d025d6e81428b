"""The states of a worker and which may follow which. Nothing is decided here."""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """Where a worker is, seen from its supervisor."""

    SPAWNING = "spawning"
    """The zygote was asked for it; it has not yet said hello."""
    BOOTING = "booting"
    """It has said hello; imports are under way."""
    IDLE = "idle"
    BUSY = "busy"
    FINISHING = "finishing"
    """The task's body is over, its outcome not yet written."""
    DRAINING = "draining"
    """It takes no more tasks and leaves after the one at hand."""
    INTERRUPTING = "interrupting"
    """Its task was sent an interrupt."""
    KILLING = "killing"
    UNKILLABLE = "unkillable"
    """It survives SIGKILL; its task stays claimed."""
    EXITED = "exited"


S = State
WORKING = frozenset({S.IDLE, S.BUSY, S.FINISHING})
"""The worker's own record says which of these."""
ENDING = frozenset({S.KILLING, S.UNKILLABLE, S.EXITED})
EDGES: dict[State, frozenset[State]] = {
    S.SPAWNING: frozenset({S.BOOTING, S.KILLING, S.EXITED}),
    S.BOOTING: frozenset({S.IDLE, S.DRAINING, S.KILLING, S.EXITED}),
    S.IDLE: frozenset({S.BUSY, S.FINISHING, S.DRAINING, S.INTERRUPTING, S.KILLING, S.EXITED}),
    S.BUSY: frozenset({S.IDLE, S.FINISHING, S.DRAINING, S.INTERRUPTING, S.KILLING, S.EXITED}),
    S.FINISHING: frozenset({S.IDLE, S.BUSY, S.DRAINING, S.INTERRUPTING, S.KILLING, S.EXITED}),
    S.DRAINING: frozenset({S.INTERRUPTING, S.KILLING, S.EXITED}),
    S.INTERRUPTING: frozenset({*WORKING, S.DRAINING, S.KILLING, S.EXITED}),
    S.KILLING: frozenset({S.UNKILLABLE, S.EXITED}),
    S.UNKILLABLE: frozenset({S.EXITED}),
    S.EXITED: frozenset(),
}


class IllegalEdge(Exception):
    """A worker was to enter a state that cannot follow the one it is in."""
