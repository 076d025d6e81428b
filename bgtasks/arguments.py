"""A task's arguments as JSON text, and the hash by which equal tasks are found. What cannot be stored is named."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bgtasks.exceptions import TaskArgumentError

LARGEST_RESULT = 1024 * 1024
"""Bytes of JSON text that a task may return, where that is kept."""
REMEDIES = {
    "datetime": "pass value.isoformat()",
    "date": "pass value.isoformat()",
    "time": "pass value.isoformat()",
    "timedelta": "pass value.total_seconds()",
    "UUID": "pass str(value)",
    "Decimal": "pass str(value)",
    "set": "pass sorted(value)",
    "frozenset": "pass sorted(value)",
    "bytes": "pass value.decode() or its base64 text",
    "float": "JSON has no NaN and no infinity: pass None or a string",
}


def encode(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return arguments as the JSON text that is stored. Raises TypeError, ValueError or RecursionError."""
    return _encoder.encode((args, kwargs))


_encoder = json.JSONEncoder(sort_keys=True, allow_nan=False, check_circular=False)
"""Half the time of `json.dumps`, which makes one for each call. A loop in the arguments is a RecursionError."""


def decode(task_params: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the named arguments that a stored text stands for."""
    args, kwargs = json.loads(task_params)
    return args, kwargs


def hash_of(task_name: str, task_params: str) -> str:
    """Return the 40 characters that equal names with equal arguments share."""
    return hashlib.sha1((task_name + task_params).encode(), usedforsecurity=False).hexdigest()


def encode_call(name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the arguments of one call as stored text. Raises TaskArgumentError naming task, argument and remedy."""
    try:
        return encode(args, kwargs)
    except (TypeError, ValueError, RecursionError) as error:
        raise TaskArgumentError(_explain(name, function, args, kwargs, error)) from None


def encode_result(name: str, value: Any) -> str:
    """Return what a function returned as stored text. Raises TaskArgumentError for what cannot be stored."""
    try:
        text = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError):
        raise TaskArgumentError(f"{name}: its return value cannot be stored as JSON: {_culprit(value)}") from None
    if len(text) > LARGEST_RESULT:
        size = f"{len(text):,} bytes of JSON; at most {LARGEST_RESULT:,} are kept"
        raise TaskArgumentError(f"{name}: its return value has {size}: store it elsewhere and return where")
    return text


def _explain(
    name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], error: Exception
) -> str:
    names = _parameter_names(function)
    given = [(names[at] if at < len(names) else f"number {at + 1}", value) for at, value in enumerate(args)]
    for argument, value in [*given, *kwargs.items()]:
        if _refusal(value) is not None:
            return f"{name}: argument {argument!r} cannot be stored as JSON: {_culprit(value)}"
    return f"{name}: the arguments cannot be stored as JSON: {error}"


def _parameter_names(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]


def _refusal(value: Any) -> Exception | None:
    try:
        json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return error
    return None


def _culprit(value: Any, place: str = "", depth: int = 0) -> str:
    """Say which value inside of `value` is the one that JSON cannot hold, where it is, and what to pass instead."""
    for key, inner in _parts(value):
        if depth < 20 and _refusal(inner) is not None:
            return _culprit(inner, f"{place}[{key!r}]", depth + 1)
    at = f" at {place}" if place else ""
    kind = type(value)
    remedy = REMEDIES.get(kind.__name__) or ("pass value.pk" if hasattr(value, "pk") else str(_refusal(value)))
    return f"{shown(value)} of type {kind.__module__}.{kind.__qualname__}{at}; {remedy}"


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)


def shown(value: Any) -> str:
    """Return a value as a message may show it: in short, whatever its class does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - somebody's __repr__ must not hide the message
        text = "a value"
    return text if len(text) <= 80 else text[:77] + "..."
