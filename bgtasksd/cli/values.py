"""Where the value of an option comes from: the command line, then the environment, then the settings."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from bgtasks.option_bounds import possible_address
from bgtasks.queue_filters import groups_of
from bgtasks.units import parse_duration, parse_size
from bgtasksd.option_table import TABLE, Option

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off"}


class WrongValue(Exception):
    """An environment variable holds what cannot be; the message names it."""


def reader(option: Option) -> Callable[[str], Any]:
    """Return the function that reads an option's text. It raises ValueError, naming the value."""
    if "|" in option.kind:
        return _one_of(option.kind.split("|"))
    return _READERS[option.kind]


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that the environment gives. Raises WrongValue."""
    given = {}
    for option in TABLE:
        if environ.get(option.variable):  # an empty line in an environment file gives nothing
            try:
                given[option.name] = reader(option)(environ[option.variable])
            except ValueError as error:
                raise WrongValue(f"{option.variable}: {error}") from None
    return given


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return one sentence for each `BGTASKSD_…` variable that is no option."""
    known = [option.variable for option in TABLE]
    found = []
    for name in sorted(environ):
        if name.startswith("BGTASKSD_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            found.append(f"{name} is no option and changes nothing" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def choose(typed: Mapping[str, Any], environment: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value in force of everything that is given somewhere; a zero that means "no limit" becomes None."""
    chosen = {**settings, **environment, **typed}
    return {
        **chosen,
        **{option.name: None for option in TABLE if option.is_off_at_zero and chosen.get(option.name) == 0},
    }


def source_of(
    option: Option, typed: Mapping[str, Any], environment: Mapping[str, Any], settings: Mapping[str, Any]
) -> str:
    """Return where the value in force comes from, for people."""
    if option.name in typed:
        return option.flag
    if option.name in environment:
        return option.variable
    return f"BGTASKS[{option.key!r}]" if option.name in settings else "default"


def _count(text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError(f"{text!r} is not a whole number, zero or more")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return text.lower() in TRUE_WORDS


def _text(text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    return text


def _one_of(allowed: list[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is not one of {', '.join(allowed)}")
        return text

    return read


_READERS: dict[str, Callable[[str], Any]] = {
    "duration": parse_duration,
    "size": parse_size,
    "count": _count,
    "queues": groups_of,
    "text": _text,
    "address": possible_address,
    "flag": _flag,
}
