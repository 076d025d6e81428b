"""What stands where in a page: the supervisor's 64 bytes, two copies of the record, index, ring, and progress twice.

A page of places has blocks behind its 64 bytes, each with a record of its own.
"""

from __future__ import annotations

import enum
import mmap
import struct
from typing import NamedTuple

PAGE_BYTES = max(8192, mmap.ALLOCATIONGRANULARITY)
MAGIC = b"BGT1"
MAGIC_OF_PLACES = b"BGP1"
VERSION = 1

HEAD = struct.Struct("<4sHHIIQ")
"""Magic, version, slot, generation, (free), worker id; offset 0."""
ALIVE_WORD = 3
ORDER_WORD = 4
HOLD_WORD = 5
AWAITED_WORD = 6
"""The supervisor's words: is the worker alive; the order, `sequence << 8 | reason`; not 0: start no further task; not
0: all are busy, say so when there is nothing to do."""

RECORD = struct.Struct("<B7xQQqQddQQQQB64s")
GLANCE = struct.Struct("<B7xQ")
"""The first two fields of a record."""
RECORD_OFFSET, RECORD_BYTES = 64, 192
TURN_WORD, HEAD_WORD, TAIL_WORD, HEARD_WORD, TOLD_WORD = 56, 57, 58, 59, 60
"""Offset 448: how often the record was written (its parity says which copy is valid); the ring's ends; the hold that
the worker obeys, written where it rests; how often progress was told, as with the record."""

BLOCK_BYTES = 2 * RECORD_BYTES + 64
BLOCKS = (PAGE_BYTES - RECORD_OFFSET) // BLOCK_BYTES
"""Records in a page of places, 18: each two copies and an index, and where other pages count what is told, an order."""
BLOCK_WORDS = BLOCK_BYTES // 8
BLOCK_ORDER_WORD = 60

ENTRY = struct.Struct("<qQddB")
RING_OFFSET, ENTRY_BYTES, RING_ENTRIES = 512, 56, 64

TOLD_OFFSET, TOLD_BYTES = 4096, 2048
TOLD = struct.Struct("<QQH2030s")
"""Two copies of what a task tells of its progress: its id and token, and the text."""

NAME_BYTES = 64


class WorkState(enum.IntEnum):
    """What a worker is doing, in its own words."""

    NONE = 0
    IDLE = 1
    BUSY = 2
    FINISHING = 3
    """A task's body is over and its outcome not yet written. Id and token 0: it stands in the ring."""


class Reason(enum.IntEnum):
    """Why a task is interrupted; stands in the order."""

    TIME_LIMIT = 1
    STOP = 2
    CANCELLED = 3
    CLAIM_LOST = 4


class Record(NamedTuple):
    """What a worker does and has done. Times are on the monotonic clock; a deadline of 0 is none.

    A tuple, for two are made for each task: 0.4 µs against the 2 µs of a frozen dataclass.
    """

    state: WorkState = WorkState.NONE
    counter: int = 0
    """Moves with every turn of the worker's loop."""
    sequence: int = 0
    """Counts the tasks started: names the one an order is for."""
    task_id: int = 0
    token: int = 0
    started_at: float = 0.0
    deadline: float = 0.0
    done: int = 0
    failed: int = 0
    """Attempts that raised, the retried ones included."""
    retried: int = 0
    cancelled: int = 0
    task_name: str = ""

    @property
    def has_task(self) -> bool:
        """Tell whether a task is held: running, or over and neither written down nor in the ring."""
        return self.state in (WorkState.BUSY, WorkState.FINISHING) and self.token != 0

    @property
    def ended(self) -> int:
        """How many executions have ended, however."""
        return self.done + self.failed + self.cancelled


class Told(NamedTuple):
    """What a task has told last of its progress."""

    task_id: int
    token: int
    text: bytes
    """As it is kept in the table: a JSON object."""


class Finished(NamedTuple):
    """An entry of the ring: a task that has succeeded and is not yet written down."""

    task_id: int
    token: int
    finished_at: float
    duration: float
    outcome: int = 1
