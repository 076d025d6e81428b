"""Which values of a daemon's options cannot be, or not together, wherever they come from. The rules are `bgtasks`'s.

What only the settings say, `LEASE` and the like, is refused where these are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bgtasks.option_bounds import of_memory, possible_address, possible_concurrency, possible_sleep, possible_workers
from bgtasksd.options import Options

_RULES: dict[str, Callable[[Any], Any]] = {
    "workers": possible_workers,
    "concurrency": possible_concurrency,
    "sleep": possible_sleep,
    "http": possible_address,
}


def contradictions(options: Options, sources: Mapping[str, str]) -> list[str]:
    """Return one sentence for each value that cannot be and for each pair that cannot hold together."""
    found = [sentence for name, rule in _RULES.items() if (sentence := _refusal(options, name, rule, sources))]
    names = sources["max_memory"], sources["max_memory_kill"]
    if memory := of_memory(options.max_memory, options.max_memory_kill, names=names):
        found.append(f"{memory.text}. {memory.fix}")
    return found


def _refusal(options: Options, name: str, rule: Callable[[Any], Any], sources: Mapping[str, str]) -> str:
    value = getattr(options, name)
    try:
        if value not in (None, ""):  # nowhere is an address, too
            rule(value)
    except ValueError as error:
        return f"{sources[name]}: {error}"
    return ""
