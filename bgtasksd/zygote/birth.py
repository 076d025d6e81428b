"""What a new worker is told about itself. Nothing happens here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new worker is told about itself."""

    slot: int
    generation: int
    worker: str
    page: int
    places: tuple[int, ...]
    """The pages of its places, if these are several."""
    concurrency: int
    """How many coroutines it may run side by side."""
    queues: tuple[str, ...] | None
    """Names and patterns of the queues it serves; None: all."""
    workers: int
    """How many there are, this one included: their limits are spread."""
    sharers: int
    """How many of them serve the same queues."""
    supervisor: int
    descriptors: Sequence[int]
    """Its end of the line, the scoreboard, its dump file."""
    closing: Sequence[int]
    """What was the zygote's."""
