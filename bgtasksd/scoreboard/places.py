"""As many records as tasks may run side by side in one worker, on pages of their own, and an order beside each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bgtasksd.scoreboard.layout import BLOCKS, Reason, Record
from bgtasksd.scoreboard.page import Page


class Places:
    """The places of one worker, seen by itself, its supervisor or its zygote."""

    def __init__(self, pages: Sequence[Page], count: int) -> None:
        self.pages = pages
        self.count = count
        self._heard = [0] * count

    def write(self, place: int, record: Record) -> None:
        """Write what runs in a place."""
        self.pages[place // BLOCKS].write(record, place % BLOCKS)

    def held(self) -> list[Record]:
        """Return what runs, or is over and neither written down nor in the ring."""
        return [record for page in self.pages for record in page.in_blocks()]

    def give_order(self, sequence: int, reason: Reason) -> None:
        """Write an order beside the task of this sequence, if it is there; one that is repeated is a new one."""
        for page in self.pages:
            for block in range(BLOCKS):
                if page.read(block).sequence == sequence:
                    count = (page.order_word(block) >> 8) + 1 & 0xFF
                    page.set_order_word(block, sequence << 16 | count << 8 | reason)

    def new_orders(self) -> Iterator[tuple[int, Reason]]:
        """Yield the orders that nobody has looked at yet: task sequence and reason."""
        for place in range(self.count):
            word = self.pages[place // BLOCKS].order_word(place % BLOCKS)
            if word != self._heard[place]:
                self._heard[place] = word
                yield word >> 16, Reason(word & 0xFF)


def pages_of(places: int) -> int:
    """Return how many pages so many places need: none for a single one, whose record is the worker's own."""
    return 0 if places == 1 else -(-places // BLOCKS)
