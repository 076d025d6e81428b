"""Tasks that use their context; each leaves lines in the ledger."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from asgiref.sync import sync_to_async
from django.db import transaction

from bgtasks import TaskContext, background, current_context
from bgtasks.models import Queue
from tests.project.tasks import note


def work_until_stopped() -> None:
    """Work for as long as nobody wants an end."""
    while not current_context().should_stop():
        time.sleep(0.01)


@background
def attentive() -> None:
    note("started")
    work_until_stopped()
    note("stopped")


@background(takes_context=True)
async def attentive_coroutine(context: TaskContext) -> None:
    note("started")
    while not context.should_stop():
        await asyncio.sleep(0.01)
    note("stopped")


@background
async def with_a_thread() -> None:
    """Have a thread do the work: an interrupt ends the wait for it, and not the work itself."""
    note("started")
    await sync_to_async(_in_a_thread)()


def _in_a_thread() -> None:
    work_until_stopped()
    note("stopped")


@background(takes_context=True, backoff=0, max_attempts=3)
def tell_headers(context: TaskContext) -> None:
    note("headers", attempt=context.attempt, headers=context.headers)
    if context.attempt < 3:
        raise ValueError("again")


@background(takes_context=True)
def telling(context: TaskContext, path: str) -> None:
    """Tell as often as possible, in a transaction, until the file exists; then tell once more."""
    note("started")
    done = 0
    with transaction.atomic():
        Queue.objects.ensure({"written by a task"})
        while not Path(path).exists():
            done += 1
            context.progress(done, 10**9, "working")
    context.progress(10**9, 10**9, "done")


@background(takes_context=True)
async def telling_coroutine(context: TaskContext, path: str) -> None:
    note("started")
    done = 0
    while not Path(path).exists():
        done += 1
        context.progress(done, message="working")
        await asyncio.sleep(0.005)
