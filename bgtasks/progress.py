"""How far a task is: read from what it says, kept as text, and told in words."""

from __future__ import annotations

import json
import math
from numbers import Integral, Real
from typing import Any, NamedTuple

LARGEST = 10**15
LONGEST_MESSAGE = 200


class Progress(NamedTuple):
    """What a task has told last."""

    done: int | float
    total: int | float | None
    """None: nobody knows how much there is to do."""
    message: str

    def in_words(self) -> str:
        """Return `340 of 1,000 (34 %), writing`."""
        told = f"{self.done:,}"
        if self.total is not None:
            share = f" ({math.floor(100 * self.done / self.total)} %)" if self.total else ""
            told += f" of {self.total:,}{share}"
        return f"{told}, {self.message}" if self.message else told


def read_progress(done: Any, total: Any, message: Any) -> Progress:
    """Return what a task says. Raises TypeError or ValueError naming what is wrong with it."""
    return Progress(_number("done", done), None if total is None else _number("total", total), _message(message))


def stored_form(progress: Progress) -> str:
    """Return it as the JSON text that is kept: a few hundred bytes."""
    return json.dumps(progress._asdict(), ensure_ascii=False)


def progress_in(text: str | None) -> Progress | None:
    """Return what a stored text says; None for no text, and for one that was not written by us."""
    try:
        found = json.loads(text) if text else None
        return None if found is None else read_progress(found["done"], found["total"], found["message"])
    except (KeyError, TypeError, ValueError):
        return None


def _number(name: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"progress(): {name}={value!r}: it must be a number")
    number = int(value) if isinstance(value, Integral) else float(value)
    if not 0 <= number <= LARGEST:  # NaN, too
        raise ValueError(f"progress(): {name}={value!r}: it must be from 0 to {LARGEST:,}")
    return number


def _message(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"progress(): message={value!r}: it must be a string")
    if len(value) > LONGEST_MESSAGE:
        raise ValueError(f"progress(): the message has {len(value)} characters, at most {LONGEST_MESSAGE} are kept")
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"progress(): message={value!r}: NUL and halves of surrogate pairs cannot be stored")
    return value
