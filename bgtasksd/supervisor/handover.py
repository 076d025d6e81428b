"""What one program of a daemon leaves to the next in the same process: JSON of a known version, and descriptors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, Protocol

from bgtasksd.scoreboard.board import unnamed_memory

VERSION = 1
"""Raised when a program of the version before could not go on from what it reads."""
VARIABLE = "BGTASKSD_HANDOVER"
"""In the environment of the new program: the descriptor of the state, or `check:VERSION`: could it read that?"""
LARGEST = 64 * 1024 * 1024

State = dict[str, Any]


class Unreadable(Exception):
    """The state cannot be gone on from; the message says why."""


class HasDescriptor(Protocol):
    """A socket, a channel, a process."""

    def fileno(self) -> int: ...


class Luggage:
    """The descriptors that go along."""

    def __init__(self, descriptors: Iterable[int] = ()) -> None:
        self.descriptors = list(descriptors)

    def take(self, source: HasDescriptor | int) -> int:
        """Take a descriptor along and return its number, for the state."""
        descriptor = source if isinstance(source, int) else source.fileno()
        self.descriptors.append(descriptor)
        return descriptor

    def open_to_exec(self, *, is_open: bool) -> None:
        """Have them survive the change of programs, or no longer."""
        for descriptor in self.descriptors:
            os.set_inheritable(descriptor, is_open)


def write(state: State, luggage: Luggage) -> int:
    """Return the descriptor of a file in memory that holds the state; it goes along, too."""
    text = json.dumps({"version": VERSION, **state, "descriptors": luggage.descriptors}).encode()
    descriptor = unnamed_memory("bgtasksd-handover")
    while text:
        text = text[os.write(descriptor, text) :]
    return descriptor


def read(descriptor: int) -> State:
    """Return the state, and close its file. No child inherits what came along. Raises Unreadable."""
    try:
        state = json.loads(os.pread(descriptor, LARGEST, 0))
        os.close(descriptor)
        Luggage(state["descriptors"]).open_to_exec(is_open=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"the state that the program before has left cannot be read: {error}") from error
    if not can_read(state.get("version")):
        raise Unreadable(f"the state is of version {state.get('version')}, this program reads {VERSION}")
    return dict(state)


def can_read(version: object) -> bool:
    """Tell whether this program can go on from a state of that version."""
    return str(version) == str(VERSION)
