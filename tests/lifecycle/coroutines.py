"""Coroutines as tasks: they wait, compute, stand still and leave things behind; each leaves lines in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from contextvars import ContextVar
from pathlib import Path

from asgiref.sync import sync_to_async

from bgtasks import background, current_context
from tests.project.tasks import note

mine: ContextVar[int] = ContextVar("mine")


@background(max_attempts=2)
async def pause(seconds: float, number: int = 0) -> None:
    """Wait, and write down if that is cut short."""
    note("started", number=number)
    try:
        await asyncio.sleep(seconds)
    except BaseException as error:
        note("interrupted", number=number, error=type(error).__name__)
        raise
    note("ended", number=number)


@background(max_run_time=1, max_attempts=2)
async def pause_for_too_long(number: int = 0) -> None:
    note("started", number=number)
    await asyncio.sleep(3600)


@background(max_attempts=2)
async def wait_for_file(name: str, number: int = 0) -> None:
    """Wait until a file stands beside the ledger."""
    note("started", number=number)
    while not Path(os.environ["BGTASKS_TEST_LEDGER"]).with_name(name).exists():
        await asyncio.sleep(0.02)
    note("ended", number=number)


@background(max_attempts=2)
async def ignore_everything() -> None:
    """Never end, whoever asks."""
    note("started")
    while True:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(3600)


@background(max_attempts=2)
async def block_the_loop() -> None:
    """Wait as coroutines must not."""
    note("started")
    time.sleep(3600)


@background
async def keep_apart(number: int) -> None:
    """Keep a number to itself while others keep theirs, and use the ORM in between."""
    from bgtasks.models import Queue  # the models are there when it runs

    mine.set(number)
    for _ in range(3):
        await asyncio.sleep(0.05)
        await Queue.objects.aget_or_create(name=f"apart {number}")
    thread = await sync_to_async(lambda: __import__("threading").get_ident())()
    note("kept", number=number, found=mine.get(), thread=thread)


@background
async def leave_something_running(number: int) -> None:
    """Forget what was begun in the loop."""
    forgotten = asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="forgotten")
    forgotten.add_done_callback(lambda task: note("was cancelled", number=number, cancelled=task.cancelled()))
    await asyncio.sleep(0)


@background(max_attempts=1)
async def exit_in_what_it_began() -> None:
    """Raise SystemExit where only the event loop can see it."""
    note("started")

    async def leave() -> None:
        raise SystemExit(3)

    await asyncio.gather(leave(), return_exceptions=True)


@background
async def tell(number: int) -> None:
    """Tell of its own context, and how far it is, until a stop is wanted."""
    context = current_context()
    while not context.should_stop():
        context.progress(number, 100)
        await asyncio.sleep(0.05)
    note("told to stop", number=number, task_id=current_context().task_id)


@background
def stand_alone(number: int = 0) -> None:
    """Be a function that nothing can run beside."""
    note("alone", number=number)
    time.sleep(0.2)
    note("alone no more", number=number)
