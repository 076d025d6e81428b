"""All pages together, in memory that has no name: made by the supervisor, handed on by descriptor."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable

from bgtasksd.scoreboard.layout import PAGE_BYTES
from bgtasksd.scoreboard.page import Page


class Board:
    """The pages, and which of them are free. A page is one worker's until its death is accounted for."""

    def __init__(self, pages: int) -> None:
        self.descriptor = unnamed_memory("bgtasksd-scoreboard")
        os.ftruncate(self.descriptor, pages * PAGE_BYTES)
        self._pages = open_pages(self.descriptor)
        self._free = list(range(pages))

    def take(self) -> int | None:
        """Return the index of a free page, None when every page is in use."""
        return self._free.pop(0) if self._free else None

    def free(self, index: int) -> None:
        """Give a page back."""
        self._free.append(index)

    def page(self, index: int) -> Page:
        """Return the view of one page."""
        return self._pages[index]


def open_pages(descriptor: int) -> list[Page]:
    """Map a whole scoreboard. What this process forks does not inherit it: a worker maps its own page, no other."""
    size = os.fstat(descriptor).st_size
    memory = mmap.mmap(descriptor, size)
    if hasattr(mmap, "MADV_DONTFORK"):
        memory.madvise(mmap.MADV_DONTFORK)
    view = memoryview(memory)
    return [Page(view[offset : offset + PAGE_BYTES]) for offset in range(0, size, PAGE_BYTES)]


def claims_on(pages: Iterable[Page]) -> set[tuple[int, int]]:
    """Return task id and token of everything that living workers hold now."""
    records = [page.read() for page in pages if page.is_alive]
    return {(record.task_id, record.token) for record in records if record.has_task}


def unnamed_memory(name: str) -> int:
    """Return the descriptor of a new file that exists in memory only."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    descriptor, path = tempfile.mkstemp(prefix=name)
    os.unlink(path)  # noqa: PTH108 - there is only the name that mkstemp gave
    return descriptor
