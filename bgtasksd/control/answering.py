"""One request on the control socket and its answer: lines of JSON, version 1, from a table of commands."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from bgtasksd.control.client import Client
from bgtasksd.directory import SOCKET_NAME, STATUS_NAME

PROTOCOL = 1
READING = frozenset({"ping", "status", "workers", "config", "metrics", "events", "stacks"})
"""Commands that change nothing; who asks for the others is logged."""

Command = Callable[[dict[str, Any]], dict[str, Any]]
logger = logging.getLogger("bgtasksd.control")


class CommandError(Exception):
    """A command was refused; the message is the answer."""


def answer(commands: Mapping[str, Command], client: Client, line: bytes, *, is_read_only: bool) -> dict[str, Any]:
    """Do what one line asks for and return what is sent back; a client that asked to wait follows the change."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return refusal("a request is one line of JSON")
    if not isinstance(request, dict):
        return refusal("a request is a JSON object")
    number = request.get("id")
    try:
        command = _allowed(commands, client, request, is_read_only=is_read_only)
        data = command(request)
    except CommandError as error:
        return refusal(str(error), number)
    except Exception:
        logger.exception("control command %r failed", request.get("cmd"))
        return refusal("the command failed; the daemon's log has the traceback", number)
    if "change" in data and request.get("wait"):
        client.follows.add(data["change"])
    return {"v": PROTOCOL, "id": number, "ok": True, "data": data}


def refusal(why: str, number: Any = None) -> dict[str, Any]:
    """Return the answer to a request that was refused, or could not be read: then it has no number."""
    return {"v": PROTOCOL, "id": number, "ok": False, "error": why}


def _allowed(
    commands: Mapping[str, Command], client: Client, request: dict[str, Any], *, is_read_only: bool
) -> Command:
    """Return the command that is asked for. Raises CommandError."""
    name = request.get("cmd")
    if request.get("v") != PROTOCOL:
        raise CommandError(f"this daemon speaks version {PROTOCOL}, not {request.get('v')!r}")
    if not isinstance(name, str) or name not in commands:
        near = difflib.get_close_matches(str(name), commands, n=1)
        raise CommandError(f"unknown command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    if name not in READING and is_read_only:
        raise CommandError(f"{STATUS_NAME} answers questions alone: {name!r} has to come through {SOCKET_NAME}")
    if name not in READING:
        logger.info("control %s by %s", name, client.peer(), extra={"event": "control", "command": name})
    client.has_asked = True
    return commands[name]
