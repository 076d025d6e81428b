"""Arguments as Django Q stores them, in Python's writing: `1, 'x'` and `a=1, b=2` or a dictionary. Read, never run."""

from __future__ import annotations

import ast
from typing import Any

from bgtasks.compat.schedules.schedule import NotTaken

UNREADABLE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)
NO_KWARGS = "they are no dictionary, nor like x=1, y=2"
FIX = "correct them there and import again"


def read_args(text: str | None) -> list[Any]:
    """Return positional arguments. Raises NotTaken."""
    if not text:
        return []
    try:
        value = ast.literal_eval(text)
    except UNREADABLE as error:
        raise NotTaken(f"its arguments cannot be read: {_short(error)}", FIX) from None
    return list(value) if isinstance(value, tuple) else [value]


def read_kwargs(text: str | None) -> dict[str, Any]:
    """Return named arguments. Raises NotTaken."""
    if not text:
        return {}
    try:
        value = _dictionary(text)
    except UNREADABLE as error:
        raise NotTaken(f"its named arguments cannot be read: {_short(error)}", FIX) from None
    if not all(isinstance(key, str) for key in value):
        raise NotTaken("its named arguments have keys that are no strings", FIX)
    return value


def _dictionary(text: str) -> dict[Any, Any]:
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise SyntaxError(NO_KWARGS) from None
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    if not isinstance(value, dict):
        raise SyntaxError(NO_KWARGS)
    return value


def _short(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    return "they hold more than plain values such as 1, 'x' or [2, None]"
