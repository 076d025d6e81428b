"""Talking to the daemon from the command line: find it, give it an order, follow what becomes of that."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bgtasksd.cli.places import DEFAULT_INSTANCE, candidates, for_a_start
from bgtasksd.cli.printing import complain, fail, say, say_json
from bgtasksd.cli.values import WrongValue, from_environment
from bgtasksd.connection import Connection, NoAnswer, Refused, TooLate
from bgtasksd.directory import UnfitDirectory
from bgtasksd.status import NOT_RUNNING, USAGE, Sight, look

NOT_DONE = 1
Facts = dict[str, Any]


class NobodyThere(Exception):
    """There is no daemon to ask; it was said to the user, and this is how to exit."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(str(exit_code))
        self.exit_code = exit_code


def sight_of(typed: argparse.Namespace) -> Sight:
    """Return how the daemon of the instance is. Raises WrongValue or UnfitDirectory."""
    given = {
        **from_environment(os.environ),
        **{name: value for name, value in vars(typed).items() if value is not None},
    }
    instance, runtime_dir = given.get("instance", DEFAULT_INSTANCE), given.get("runtime_dir")
    directories = candidates(runtime_dir, instance, os.environ)
    sight = look(directories, instance)._replace(options=_options(instance, runtime_dir))
    if sight.situation == "not_running" and not sight.directory.is_dir():
        return sight._replace(directory=for_a_start(directories)[0])  # where one would be, if there were one
    return sight


def _options(instance: str, runtime_dir: str | None) -> str:
    """Return what names the same daemon, also in another terminal or under sudo."""
    words = [] if instance == DEFAULT_INSTANCE else ["--instance", instance]
    words += ["--runtime-dir", str(Path(runtime_dir).absolute())] if runtime_dir else []
    return "".join(f" {shlex.quote(word)}" for word in words)


def find(typed: argparse.Namespace) -> Sight:
    """Return the daemon that is to be asked. Raises NobodyThere, having said why."""
    try:
        sight = sight_of(typed)
    except (WrongValue, UnfitDirectory) as error:
        raise NobodyThere(fail(USAGE, "usage", str(error), is_json=typed.json)) from None
    if sight.situation in ("not_running", "died"):
        message = f"bgtasksd is not running in {sight.directory}"
        raise NobodyThere(fail(NOT_RUNNING, "not_running", message, is_json=typed.json))
    if sight.situation == "forbidden":
        message = f"no permission to ask the daemon in {sight.directory}"
        raise NobodyThere(fail(NOT_DONE, "forbidden", message, is_json=typed.json))
    return sight


def give(
    typed: argparse.Namespace,
    command: str,
    words: Callable[[Facts], str],
    *,
    timeout: float | None = None,
    is_stream: bool = False,
    **arguments: Any,
) -> int:
    """Give an order, print the answer in these `words`, or as JSON, and return the exit code.

    With `wait=True` among the arguments the change is followed to its end, for `timeout` seconds at most. JSON is one
    object, what came of it; where the verb `is_stream` every step is one before, on a line of its own.
    """
    try:
        sight = find(typed)
        with Connection(sight.directory) as connection:
            answer = connection.ask(command, **arguments)
            if not arguments.get("wait"):
                return _show(typed, answer, words)
            if not typed.json and (text := words(answer)):
                complain(text)
            connection.be_patient(timeout)
            try:
                return _follow(typed, connection, words, is_stream=is_stream)
            except TooLate:
                message = f"{command} is not over after {timeout:g} s; it goes on"
                return fail(NOT_DONE, "timeout", message, "bgtasksd events --follow", is_json=typed.json)
    except NobodyThere as error:
        return error.exit_code
    except Refused as error:
        return fail(NOT_DONE, "refused", str(error), is_json=typed.json)
    except (OSError, NoAnswer, KeyError, ValueError) as error:
        return fail(NOT_DONE, "no_answer", f"the daemon did not answer: {error}", "bgtasksd status", is_json=typed.json)


def _show(typed: argparse.Namespace, answer: Facts, words: Callable[[Facts], str]) -> int:
    if typed.json:
        say_json(answer)
    elif text := words(answer):
        say(text)
    return 0


def _follow(
    typed: argparse.Namespace, connection: Connection, words: Callable[[Facts], str], *, is_stream: bool
) -> int:
    """Print how a change goes until it is over. Raises Refused when it failed."""
    while True:
        told = connection.read()
        if told.get("is_over"):
            return _show(typed, told, words)
        if typed.json:
            if is_stream:
                say_json(told)
        elif not getattr(typed, "quiet", False):
            complain(str(told.get("text", "")))
