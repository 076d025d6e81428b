"""Waking whoever waits for tasks, after the commit. It only shortens a wait: polling alone is correct."""

from bgtasks.waking.awaited import note_elsewhere, tell
from bgtasks.waking.awaiting import Ear
from bgtasks.waking.committing import NOTIFIERS, ask, can_notify, due_in, over, ready, scheduled
from bgtasks.waking.notices import AWAITED, OVER, READY, SCHEDULED, Notice, parse
from bgtasks.waking.receiving import OwnSocket
from bgtasks.waking.sending import look_in

__all__ = [
    "AWAITED",
    "NOTIFIERS",
    "OVER",
    "READY",
    "SCHEDULED",
    "Ear",
    "Notice",
    "OwnSocket",
    "ask",
    "can_notify",
    "due_in",
    "look_in",
    "note_elsewhere",
    "over",
    "parse",
    "ready",
    "scheduled",
    "tell",
]
