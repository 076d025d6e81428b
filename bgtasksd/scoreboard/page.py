"""One page: the worker writes its record and ring, the supervisor its own part; either reads the other's whole."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from bgtasksd.scoreboard.layout import (
    ALIVE_WORD,
    AWAITED_WORD,
    BLOCK_BYTES,
    BLOCK_ORDER_WORD,
    BLOCK_WORDS,
    BLOCKS,
    ENTRY,
    ENTRY_BYTES,
    GLANCE,
    HEAD,
    HEAD_WORD,
    HEARD_WORD,
    HOLD_WORD,
    MAGIC,
    MAGIC_OF_PLACES,
    NAME_BYTES,
    ORDER_WORD,
    PAGE_BYTES,
    RECORD,
    RECORD_BYTES,
    RECORD_OFFSET,
    RING_ENTRIES,
    RING_OFFSET,
    TAIL_WORD,
    TOLD,
    TOLD_BYTES,
    TOLD_OFFSET,
    TOLD_WORD,
    TURN_WORD,
    VERSION,
    Finished,
    Reason,
    Record,
    Told,
    WorkState,
)

if TYPE_CHECKING:
    from bgtasksd.scoreboard.places import Places

READS = 1000
"""Enough that a live writer cannot be in the way each time; a page spoiled by a task must not hold the reader."""


class Page:
    """A view of one page. Words that others read while they change are stored whole, through a view of 8-byte words."""

    def __init__(self, memory: memoryview | mmap.mmap) -> None:
        self._bytes = memoryview(memory)
        self._words = self._bytes.cast("Q")
        self.places: Places | None = None
        """The records of a worker that runs tasks side by side, on pages of their own."""

    @classmethod
    def open(cls, descriptor: int, index: int) -> Page:
        """Map one page of a scoreboard and nothing of the others."""
        return cls(mmap.mmap(descriptor, PAGE_BYTES, offset=index * PAGE_BYTES))

    # the supervisor's part

    def assign(self, slot: int, generation: int, worker_id: int, places: Places | None = None) -> None:
        """Clear the page for a new worker, and those of its places."""
        self.clear(MAGIC, slot, generation, worker_id)
        self.places = places
        for page in places.pages if places is not None else ():
            page.clear(MAGIC_OF_PLACES, slot, generation, worker_id)

    def clear(self, magic: bytes, slot: int, generation: int, worker_id: int) -> None:
        """Begin anew, for a worker that lives."""
        self._bytes[:] = bytes(PAGE_BYTES)
        HEAD.pack_into(self._bytes, 0, magic, VERSION, slot, generation, 0, worker_id)
        self._words[ALIVE_WORD] = 1

    def bury(self) -> None:
        """Say that the worker is dead."""
        self._words[ALIVE_WORD] = 0
        for page in self.places.pages if self.places is not None else ():
            page.bury()

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
        if self.places is None:
            self._words[ORDER_WORD] = sequence << 8 | reason
        else:
            self.places.give_order(sequence, reason)

    def order(self) -> tuple[int, Reason] | None:
        """Return the order in force: task sequence and reason."""
        word = self._words[ORDER_WORD]
        return (word >> 8, Reason(word & 0xFF)) if word else None

    def orders(self) -> Iterator[tuple[int, Reason]]:
        """Yield the order in force; of places those that were given since the last look."""
        if self.places is not None:
            yield from self.places.new_orders()
        elif (order := self.order()) is not None:
            yield order

    def hold(self) -> None:
        """Have the worker start no further task until `let_go`; what it has claimed and not started it gives back."""
        if not self.is_held:
            self._words[HOLD_WORD] = self._words[HEARD_WORD] + 1  # another than the one it has heard of

    def let_go(self) -> None:
        """Let the worker start tasks again."""
        self._words[HOLD_WORD] = 0

    @property
    def is_held(self) -> bool:
        """Tell whether the worker is to start no task."""
        return bool(self._words[HOLD_WORD])

    def await_rest(self) -> None:
        """Tell the worker that all are busy: it says so when it has nothing to do, and need not tell of more work."""
        self._words[AWAITED_WORD] = 1

    def await_nothing(self) -> None:
        """Take that back."""
        self._words[AWAITED_WORD] = 0

    @property
    def is_rest_awaited(self) -> bool:
        """Tell whether all workers are busy, as far as the supervisor knows."""
        return bool(self._words[AWAITED_WORD])

    @property
    def has_heard_hold(self) -> bool:
        """Tell whether the worker has come to rest under the hold in force: it starts nothing before `let_go`."""
        return self.is_held and self._words[HEARD_WORD] == self._words[HOLD_WORD]

    # the worker's part

    def hear_hold(self) -> bool:
        """Say, with no task at hand, that the hold is obeyed; return whether there is one that was not heard before."""
        is_new = self.is_held and not self.has_heard_hold
        self._words[HEARD_WORD] = self._words[HOLD_WORD]
        return is_new

    def write(self, record: Record, block: int = 0) -> None:
        """Write a record into the copy that is not valid, then make it the valid one by one store."""
        at = TURN_WORD + block * BLOCK_WORDS
        turn = self._words[at] + 1
        name = record.task_name.encode(errors="replace")[:NAME_BYTES]
        offset = RECORD_OFFSET + block * BLOCK_BYTES + (turn & 1) * RECORD_BYTES
        RECORD.pack_into(self._bytes, offset, *record[:-1], len(name), name)
        self._words[at] = turn

    def read(self, block: int = 0) -> Record:
        """Return a record as it was at one moment, also of a worker killed while it wrote."""
        fields = self._read(RECORD, block)
        return Record() if fields is None else _record(*fields)

    def glance(self) -> tuple[int, int]:
        """Return state and counter alone, of one moment: a quarter of what reading the record costs."""
        return self._read(GLANCE) or (WorkState.NONE, 0)

    def _read(self, layout: struct.Struct, block: int = 0) -> Any:
        """Return the fields of the valid copy, or None if a writer is in the way each time."""
        at, begin = TURN_WORD + block * BLOCK_WORDS, RECORD_OFFSET + block * BLOCK_BYTES
        for _ in range(READS):
            turn = self._words[at]
            fields = layout.unpack_from(self._bytes, begin + (turn & 1) * RECORD_BYTES)
            if self._words[at] == turn:
                return fields
        return None

    def tell(self, told: Told) -> None:
        """Note the progress of a task; one call that packs it all, for threads may be at it together."""
        turn = self._words[TOLD_WORD] + 1
        length = len(told.text)
        TOLD.pack_into(self._bytes, TOLD_OFFSET + (turn & 1) * TOLD_BYTES, told.task_id, told.token, length, told.text)
        self._words[TOLD_WORD] = turn

    def told(self, held: Collection[tuple[int, int]]) -> Told | None:
        """Return what was told last of progress, if by one of these tasks (id, token): others are over."""
        for _ in range(READS if held and self._words[TOLD_WORD] else 0):
            turn = self._words[TOLD_WORD]
            task_id, token, length, text = TOLD.unpack_from(self._bytes, TOLD_OFFSET + (turn & 1) * TOLD_BYTES)
            if self._words[TOLD_WORD] == turn:
                return Told(task_id, token, text[:length]) if (task_id, token) in held else None
        return None

    def tasks(self) -> list[Record]:
        """Return the record of each task that is held: one at most, but where tasks run side by side."""
        if self.places is not None:
            return self.places.held()
        record = self.read()
        return [record] if record.has_task else []

    def running(self) -> list[Record]:
        """Return the record of each task whose function runs."""
        return [record for record in self.tasks() if record.state is WorkState.BUSY]

    # a page that holds nothing but records of places

    @property
    def is_of_places(self) -> bool:
        """Tell whether it is one. It belongs to the worker whose number it has."""
        return bytes(self._bytes[:4]) == MAGIC_OF_PLACES

    def in_blocks(self) -> list[Record]:
        """Return the record of each task that is held in these places."""
        records = map(self.read, range(BLOCKS))
        return [record for record in records if record.has_task]

    def order_word(self, block: int) -> int:
        """Return the word in which the order for one place stands."""
        return self._words[BLOCK_ORDER_WORD + block * BLOCK_WORDS]

    def set_order_word(self, block: int, word: int) -> None:
        """Write that word."""
        self._words[BLOCK_ORDER_WORD + block * BLOCK_WORDS] = word

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
        until = min(head, tail + RING_ENTRIES)  # a task may have written over its page
        offsets = (RING_OFFSET + at % RING_ENTRIES * ENTRY_BYTES for at in range(tail, until))
        return [Finished(*ENTRY.unpack_from(self._bytes, offset)) for offset in offsets]


def _record(state: int, *fields: Any) -> Record:
    *numbers, length, name = fields
    if state not in WorkState._value2member_map_:
        return Record()
    record: tuple[Any, ...] = (WorkState(state), *numbers, name[:length].decode(errors="replace"))
    return Record(*record)
