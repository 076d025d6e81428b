"""Many new tasks in one call, all or none: chunk by chunk as the calls come, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from bgtasks.models import Task
from bgtasks.queue.engines import engine
from bgtasks.queue.enqueueing import insert_many
from bgtasks.queue.request import Call, Stored

CHUNK_ROWS = 1000
CHUNK_LENGTH = 1_000_000
"""Characters of arguments in one statement: a database refuses a packet that is too long, some above 4 MB."""


def enqueue_many(like: Task, calls: Iterable[Call], stored: Callable[[Sequence[Call], Stored], None]) -> list[int]:
    """Store a task like this one for each call; return the ids in order. `stored` is told of each chunk.

    Up to `CHUNK_ROWS` are one statement, sent when the last call is known. More are stored while they come, in one
    transaction or, in the caller's, under one savepoint: what `calls` raises takes all of them away again.
    """
    db = engine()
    ids: list[int] = []
    chunks = _chunks(calls)
    first, second = next(chunks, None), next(chunks, None)
    if first is None:
        return ids

    def store(chunk: list[Call]) -> None:
        inserted = insert_many(db, like, chunk)
        ids.extend(inserted.ids)
        stored(chunk, inserted)

    if second is None:
        store(first)
        return ids
    with db.whole():
        for chunk in chain((first, second), chunks):
            store(chunk)
    return ids


def _chunks(calls: Iterable[Call]) -> Iterator[list[Call]]:
    chunk: list[Call] = []
    length = 0
    for call in calls:
        if chunk and (len(chunk) == CHUNK_ROWS or length + len(call[0]) > CHUNK_LENGTH):
            yield chunk
            chunk, length = [], 0
        chunk.append(call)
        length += len(call[0])
    if chunk:
        yield chunk
