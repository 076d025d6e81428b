"""Why something has failed, for people: the first line names the error, and is kept whatever else is left away."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """Return what the error says, without the lines of advice and details that drivers add."""
    return str(error).strip().partition("\n")[0]


def gist(error: BaseException) -> str:
    """Return the error in one line, with its kind."""
    said = first_line(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def shortened(reason: str, longest: int) -> str:
    """Return at most so many characters: the first line, and whole lines from the end, where a traceback says most."""
    if len(reason) <= longest:
        return reason
    first = reason.partition("\n")[0][: longest // 2]
    last = reason[len(first) + 3 - longest :]
    return f"{first}\n…\n{last.partition(chr(10))[2] or last}"
