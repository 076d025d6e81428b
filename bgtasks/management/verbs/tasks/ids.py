"""Ids of tasks as people write them, and what becomes of those that lead nowhere."""

from __future__ import annotations

LONGEST = 18
"""Digits."""


def read_id(text: str) -> int:
    """Return the number in `48213`, or in `t48213`, which is how `django.tasks` spells it. Raises ValueError."""
    number = text.strip().removeprefix("t")
    if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST):
        raise ValueError(f"{text!r} is not the id of a task: write 48213, or t48213")
    return int(number)
