"""Which queues somebody means: names, prefixes `mail*`, exclusions `!slow`, and numbers of workers for them. No SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

LONGEST_NAME = 190
"""Characters; the width of the column."""
_COUNT = re.compile(r"(?P<queues>.*):\s*(?P<workers>[-+]?\d*)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What is served: queues asked for by name, and those whose names begin so, but for the excluded ones."""

    names: tuple[str, ...]
    """Served whether they have a row yet or not; no excluded one is among them."""
    prefixes: tuple[str, ...]
    """An empty one is every name's."""
    without_names: tuple[str, ...] = ()
    without_prefixes: tuple[str, ...] = ()

    def matches(self, name: str) -> bool:
        """Tell whether a queue of this name is meant. Capital letters and small ones differ."""
        return not self._is_excluded(name) and (name in self.names or name.startswith(self.prefixes))

    def among(self, known: Iterable[str]) -> list[str]:
        """Return the names to look at: those asked for by name, and those of the known ones that are meant."""
        return list(dict.fromkeys([*self.names, *filter(self.matches, known)]))

    def _is_excluded(self, name: str) -> bool:
        return name in self.without_names or name.startswith(self.without_prefixes)


@lru_cache(maxsize=256)
def filter_of(patterns: tuple[str, ...]) -> QueueFilter:
    """Return what names and patterns mean together; exclusions alone mean everything but these.

    Raises ValueError, naming the pattern, for one that cannot be, and if nothing is left.
    """
    wanted = [_checked(pattern) for pattern in patterns if not pattern.startswith("!")]
    without = [_checked(pattern[1:], pattern) for pattern in patterns if pattern.startswith("!")]
    excluded = QueueFilter(_names(without), _prefixes(without))
    names = tuple(name for name in _names(wanted) if not excluded.matches(name))
    prefixes = tuple(each for each in _prefixes(wanted or ["*"]) if not each.startswith(excluded.prefixes))
    if not patterns or not (names or prefixes):
        raise ValueError(f"{','.join(patterns)!r} leaves no queue to serve")
    return QueueFilter(names, prefixes, excluded.names, excluded.prefixes)


def _names(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pattern for pattern in patterns if not pattern.endswith("*")))


def _prefixes(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))


def _checked(pattern: str, shown: str = "") -> str:
    """Return a name or `prefix*`. Raises ValueError."""
    shown = shown or pattern
    if not pattern:
        raise ValueError(f"{shown!r} names no queue" if shown else "the name of a queue is empty")
    if pattern.startswith("!"):
        raise ValueError(f"{shown!r}: write one `!` to exclude a queue")
    if "*" in pattern[:-1]:
        raise ValueError(f"{shown!r}: `*` stands only at the end, as in {pattern[: pattern.index('*')] + '*'!r}")
    if len(pattern.removesuffix("*")) > LONGEST_NAME:
        raise ValueError(f"{shown[:30] + '…'!r} is too long: a queue's name has at most {LONGEST_NAME} characters")
    return pattern


def patterns_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names and patterns in `"mail*,!slow"` or in several such texts. Raises ValueError."""
    texts = [given] if isinstance(given, str) else given
    patterns = tuple(pattern.strip() for text in texts for pattern in text.split(","))
    filter_of(patterns)
    return patterns


def for_one_worker(pattern: str) -> str:
    """Return a pattern without the `:1` that may stand behind it. Raises ValueError for any other number of workers."""
    counted = _COUNT.fullmatch(pattern)
    if counted is None:
        return pattern
    if counted["workers"] != "1":
        raise ValueError(
            f"{pattern!r} says a number of workers, and this is one: write {counted['queues']!r}, and --concurrency N"
            f" or more processes to run more at once. A queue of this very name is written {pattern + ':1'!r}"
        )
    return counted["queues"]


class Binding(NamedTuple):
    """So many workers for these queues."""

    queues: tuple[str, ...]
    workers: int


def groups_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return what a daemon is to serve, one text each: `mail`, `!slow`, or with a number of workers `mail,sms:2`.

    One text may hold several, separated by `;`. Raises ValueError for what cannot be.
    """
    texts = [given] if isinstance(given, str) else given
    groups: list[str] = []
    for text in (part for whole in texts for part in whole.split(";") if part.strip(" ,")):
        queues, workers = _group(text)
        groups += queues if workers is None else [f"{','.join(queues)}:{workers}"]
    if not groups:
        raise ValueError(f"{given!r} is not a list of names: write mail,default")
    return tuple(groups)


def bindings_of(groups: Sequence[str]) -> tuple[Binding, ...]:
    """Return which workers serve what; nothing: all serve the same. Raises ValueError if only some say how many."""
    found = [_group(group) for group in groups]
    uncounted = [group for group, (_, workers) in zip(groups, found, strict=True) if workers is None]
    if len(uncounted) == len(groups):
        filter_of(tuple(groups))
        return ()
    if uncounted:
        raise ValueError(f"{uncounted[0]!r} says no number of workers, and others do: write {uncounted[0] + ':1'!r}")
    return tuple(Binding(queues, workers) for queues, workers in found if workers is not None)


def _group(text: str) -> tuple[tuple[str, ...], int | None]:
    counted = _COUNT.fullmatch(text)
    patterns = [pattern.strip() for pattern in (counted["queues"] if counted else text).split(",")]
    queues = tuple(pattern for pattern in patterns if pattern)
    for pattern in queues or ("",):
        _checked(pattern.removeprefix("!"), pattern)
    if counted is None:
        return queues, None
    if not counted["workers"].isdecimal() or int(counted["workers"]) == 0:
        raise ValueError(f"{text!r}: after the colon stands a number of workers, one or more, as in 'mail:2'")
    filter_of(queues)
    return queues, int(counted["workers"])
