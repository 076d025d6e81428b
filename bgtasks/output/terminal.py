"""Colour, counts and tables for people; text that came from elsewhere is made harmless for a terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

COLOURS = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}
NARROWEST = 8
"""Characters that a cut column keeps."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_BREAKS = re.compile("[\t\n]")


def wants_colour(stream: Any) -> bool:
    """Say whether to colour what goes to a stream: only on a terminal, unless NO_COLOR or FORCE_COLOR decide."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and hasattr(stream, "isatty") and bool(stream.isatty())


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is, or None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def paint(text: str, colour: str, *, enabled: bool) -> str:
    """Return the text in a colour, or as it is."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if enabled else text


def harmless(text: str) -> str:
    """Return text without what could move a terminal's cursor or change its colours; lines and tabs stay."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return text that cannot break out of its line."""
    return _BREAKS.sub(lambda found: ascii(found[0])[1:-1], harmless(text))


def format_count(count: int, cap: int | None = None) -> str:
    """Return `4,812`, or `10,000+` for a count that was stopped beyond its cap."""
    return f"{cap:,}+" if cap is not None and count > cap else f"{count:,}"


def table(rows: Sequence[Sequence[Any]], headings: Sequence[str] = (), width: int | None = None) -> str:
    """Return rows in aligned columns, two spaces between them; numbers stand to the right.

    With a `width` the longest cells are cut so that lines fit.
    """
    lines = [list(headings), *rows] if headings else list(rows)
    texts = [[one_line(_cell(value)) for value in line] for line in lines]
    widths = [max(len(line[at]) for line in texts if at < len(line)) for at in range(max(map(len, texts), default=0))]
    widths = widths if width is None else _fitted(widths, width)
    numeric = {at for at in range(len(widths)) if rows and all(_is_number(row, at) for row in rows)}
    return "\n".join(
        "  ".join(text.rjust(room) if at in numeric else _cut(text, room).ljust(room)
                  for at, (text, room) in enumerate(zip(line, widths, strict=False))).rstrip()
        for line in texts
    )  # fmt: skip


def _fitted(widths: Sequence[int], width: int) -> list[int]:
    """Return the widths of columns that fit: the widest give way, though none becomes unreadable."""
    fitted = list(widths)
    room = width - 2 * (len(widths) - 1)
    while sum(fitted) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return format_count(value)
    return "" if value is None else str(value)


def _is_number(row: Sequence[Any], at: int) -> bool:
    return at < len(row) and isinstance(row[at], (int, float)) and not isinstance(row[at], bool)
