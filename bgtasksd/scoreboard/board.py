"""All pages together, in memory that has no name: made by the supervisor, handed on by descriptor. It only grows."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from bgtasksd.scoreboard.layout import PAGE_BYTES, WorkState
from bgtasksd.scoreboard.page import Page
from bgtasksd.scoreboard.places import Places


class Board:
    """The pages, and which of them are free. A page is one worker's until its death is accounted for."""

    def __init__(self, pages: int) -> None:
        self.descriptor = unnamed_memory("bgtasksd-scoreboard")
        self._pages: list[Page] = []
        self._free: list[int] = []
        self.reserve(pages)

    @classmethod
    def at(cls, descriptor: int) -> Board:
        """Return the scoreboard that lies there already, all pages free."""
        board = cls(0)
        board.close()
        board.descriptor, board._pages = descriptor, open_pages(descriptor)
        board._free = list(range(len(board._pages)))
        return board

    def take_back(self, used: set[int]) -> None:
        """Note that workers have these pages."""
        self._free = [index for index in self._free if index not in used]

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)

    def reserve(self, pages: int) -> None:
        """Have at least so many pages. Those there are stay where they are."""
        there = len(self._pages)
        if pages > there:
            pages = max(pages, 2 * there)  # each growth costs a mapping, and that a descriptor
            os.ftruncate(self.descriptor, pages * PAGE_BYTES)
            self._pages += open_pages(self.descriptor, there)
            self._free += range(there, pages)

    def take(self) -> int | None:
        """Return the index of a free page, None when every page is in use."""
        return self._free.pop(0) if self._free else None

    def free(self, index: int) -> None:
        """Give a page back."""
        self._free.append(index)

    def places(self, indexes: Sequence[int], count: int) -> Places | None:
        """Return the places that lie on these pages; None if there are none."""
        return Places([self._pages[index] for index in indexes], count) if indexes else None

    def page(self, index: int) -> Page:
        """Return the view of one page."""
        return self._pages[index]


class Pages:
    """The pages as another process sees them, those that were added later included."""

    def __init__(self, descriptor: int) -> None:
        """Keep the descriptor: by it growth is noticed."""
        self._descriptor = descriptor
        self._pages: list[Page] = []

    def __iter__(self) -> Iterator[Page]:
        if os.fstat(self._descriptor).st_size > len(self._pages) * PAGE_BYTES:
            self._pages += open_pages(self._descriptor, len(self._pages))
        return iter(self._pages)


def open_pages(descriptor: int, first: int = 0) -> list[Page]:
    """Map a scoreboard from its `first` page on.

    What this process forks does not inherit it: a worker maps its own page, no other.
    """
    size = os.fstat(descriptor).st_size - first * PAGE_BYTES
    memory = mmap.mmap(descriptor, size, offset=first * PAGE_BYTES)
    if hasattr(mmap, "MADV_DONTFORK"):
        memory.madvise(mmap.MADV_DONTFORK)
    view = memoryview(memory)
    return [Page(view[offset : offset + PAGE_BYTES]) for offset in range(0, size, PAGE_BYTES)]


def are_all_busy(pages: Iterable[Page]) -> bool:
    """Tell whether every living worker runs a task; not of workers that run several, which may have room for more."""
    alive = [page for page in pages if page.is_alive]
    return bool(alive) and all(not page.is_of_places and page.glance()[0] == WorkState.BUSY for page in alive)


def claims_on(pages: Iterable[Page]) -> set[tuple[int, int]]:
    """Return task id and token of everything that living workers hold now."""
    alive = (page for page in pages if page.is_alive)
    return {
        (record.task_id, record.token)
        for page in alive
        for record in (page.in_blocks() if page.is_of_places else page.tasks())
    }


def progress_on(pages: Iterable[Page]) -> dict[tuple[int, int], str]:
    """Return what the tasks of living workers, by id and token, have told last of how far they are."""
    held = claims_on(pages)
    found = [page.told(held) for page in pages if page.is_alive and not page.is_of_places]
    return {(told.task_id, told.token): told.text.decode(errors="replace") for told in found if told is not None}


def unnamed_memory(name: str) -> int:
    """Return the descriptor of a new file that exists in memory only."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    descriptor, path = tempfile.mkstemp(prefix=name)
    os.unlink(path)  # noqa: PTH108 - there is only the name that mkstemp gave
    return descriptor


def empty(descriptor: int) -> None:
    """Empty such a file; the offset is shared with whoever writes there next."""
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
