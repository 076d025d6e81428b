"""One page: the worker writes its record and ring, the supervisor its own part; either reads the other's whole."""

from __future__ import annotations

import mmap
from typing import Any

from bgtasksd.scoreboard.layout import (
    ALIVE_WORD,
    ENTRY,
    ENTRY_BYTES,
    HEAD,
    HEAD_WORD,
    MAGIC,
    NAME_BYTES,
    ORDER_WORD,
    PAGE_BYTES,
    RECORD,
    RECORD_BYTES,
    RECORD_OFFSET,
    RING_ENTRIES,
    RING_OFFSET,
    TAIL_WORD,
    TURN_WORD,
    VERSION,
    Finished,
    Reason,
    Record,
    WorkState,
)

READS = 1000
"""Enough that a live writer cannot be in the way each time; a page spoiled by a task must not hold the reader."""


class Page:
    """A view of one page. Words that others read while they change are stored whole, through a view of 8-byte words."""

    def __init__(self, memory: memoryview | mmap.mmap) -> None:
        self._bytes = memoryview(memory)
        self._words = self._bytes.cast("Q")

    @classmethod
    def open(cls, descriptor: int, index: int) -> Page:
        """Map one page of a scoreboard and nothing of the others."""
        return cls(mmap.mmap(descriptor, PAGE_BYTES, offset=index * PAGE_BYTES))

    # the supervisor's part

    def assign(self, slot: int, generation: int, worker_id: int) -> None:
        """Clear the page for a new worker."""
        self._bytes[:] = bytes(PAGE_BYTES)
        HEAD.pack_into(self._bytes, 0, MAGIC, VERSION, slot, generation, 0, worker_id)
        self._words[ALIVE_WORD] = 1

    def bury(self) -> None:
        """Say that the worker is dead."""
        self._words[ALIVE_WORD] = 0

    @property
    def is_alive(self) -> bool:
        """Tell whether the supervisor holds the worker for alive."""
        return self._words[ALIVE_WORD] == 1

    @property
    def worker_id(self) -> int:
        """The number in the worker's name."""
        return int(HEAD.unpack_from(self._bytes)[5])

    def give_order(self, sequence: int, reason: Reason) -> None:
        """Order the interruption of the task with this sequence; void when another one is running by then."""
        self._words[ORDER_WORD] = sequence << 8 | reason

    def order(self) -> tuple[int, Reason] | None:
        """Return the order in force: task sequence and reason."""
        word = self._words[ORDER_WORD]
        return (word >> 8, Reason(word & 0xFF)) if word else None

    # the worker's part

    def write(self, record: Record) -> None:
        """Write the record into the copy that is not valid, then make it the valid one by one store."""
        turn = self._words[TURN_WORD] + 1
        name = record.task_name.encode(errors="replace")[:NAME_BYTES]
        offset = RECORD_OFFSET + (turn & 1) * RECORD_BYTES
        RECORD.pack_into(self._bytes, offset, *record[:-1], len(name), name)
        self._words[TURN_WORD] = turn

    def read(self) -> Record:
        """Return the record as it was at one moment, also of a worker killed while it wrote."""
        for _ in range(READS):
            turn = self._words[TURN_WORD]
            fields = RECORD.unpack_from(self._bytes, RECORD_OFFSET + (turn & 1) * RECORD_BYTES)
            if self._words[TURN_WORD] == turn:
                return _record(*fields)
        return Record()

    # the ring

    def push(self, entry: Finished) -> bool:
        """Note a task as finished before it is written to the database; False when the ring is full."""
        head = self._words[HEAD_WORD]
        if head - self._words[TAIL_WORD] >= RING_ENTRIES:
            return False
        ENTRY.pack_into(self._bytes, RING_OFFSET + head % RING_ENTRIES * ENTRY_BYTES, *entry)
        self._words[HEAD_WORD] = head + 1
        return True

    def discard(self, count: int) -> None:
        """Drop the oldest entries, once the transaction that wrote them down has committed."""
        self._words[TAIL_WORD] = min(self._words[TAIL_WORD] + count, self._words[HEAD_WORD])

    def finished(self) -> list[Finished]:
        """Return the ring, oldest first."""
        tail, head = self._words[TAIL_WORD], self._words[HEAD_WORD]
        offsets = (RING_OFFSET + at % RING_ENTRIES * ENTRY_BYTES for at in range(tail, head))
        return [Finished(*ENTRY.unpack_from(self._bytes, offset)) for offset in offsets]


def _record(state: int, *fields: Any) -> Record:
    *numbers, length, name = fields
    if state not in WorkState._value2member_map_:
        return Record()
    record: tuple[Any, ...] = (WorkState(state), *numbers, name[:length].decode(errors="replace"))
    return Record(*record)
