"""Durations and sizes as people write and read them: `1h30m`, `300M`, `0.21 s`, `118 MB`. Nothing else."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST = 36525 * 86400.0  # a hundred years: more fits neither into every clock nor into every date
_BYTES = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhdw]?)\s*")
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d+)?)\s*([BKMGT]?)(?:i?B)?\s*", re.IGNORECASE)


def parse_duration(value: str | float | timedelta) -> float:
    """Return seconds from `90`, `"90s"`, `"5m"`, `"1h30m"`, `"2d"` or a timedelta.

    Raises ValueError, naming the value, for anything else, negative durations and those of more than a hundred years.
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    else:
        seconds = _parse_duration_text(value)
    if not 0 <= seconds <= _LONGEST:
        raise ValueError(f"{value!r} is not a duration: it must be zero or more, and at most a hundred years")
    return float(seconds)


def _parse_duration_text(value: object) -> float:
    text = value.strip() if isinstance(value, str) else ""
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text):
        raise ValueError(f"{value!r} is not a duration: write seconds, or 90s, 5m, 1h30m, 2d")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_size(value: str | int) -> int:
    """Return bytes from `1048576`, `"300M"`, `"1.5G"` (binary units). Raises ValueError, naming the value."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value!r} is not a size: it must be zero or more")
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a size: write bytes, or 300M, 1.5G")
    return int(float(match[1]) * _BYTES[match[2].upper()])


def format_duration(seconds: float) -> str:
    """Return `0.4 ms`, `0.21 s`, `6 s`, `12 s`, `4 min`, `2 h 51 min` or `3 d`."""
    if seconds < 10 and seconds == int(seconds):
        return f"{seconds:.0f} s"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def format_size(size_bytes: int) -> str:
    """Return `118 MB`, `1.5 GB` or `640 KB` (binary units, as the options read them)."""
    if size_bytes >= 1024**3:
        return f"{size_bytes / 1024**3:.1f} GB"
    if size_bytes >= 1024**2:
        return f"{size_bytes / 1024**2:.0f} MB"
    return f"{size_bytes / 1024:.0f} KB"
