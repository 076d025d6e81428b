"""Tasks that do what the tests need; each leaves a line in the ledger file named by BGTASKS_TEST_LEDGER."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

from django.db import connection, transaction

from bgtasks import background


def note(event: str, **facts: object) -> None:
    """Append one JSON line to the ledger: atomically, and outside of the queue's own tables."""
    path = os.environ.get("BGTASKS_TEST_LEDGER")
    if path:
        line = json.dumps({"event": event, "pid": os.getpid(), "at": time.monotonic(), **facts}) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, line.encode())
        os.close(descriptor)


@background
def ping(number: int = 0) -> None:
    note("ran", number=number)


@background
def nap(seconds: float, number: int = 0) -> None:
    note("started", number=number)
    time.sleep(seconds)
    note("ended", number=number)


@background
def fail(message: str = "as asked") -> None:
    note("ran")
    raise ValueError(message)


@background
def prints(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is what it is for


@background
def leave_transaction_open() -> None:
    transaction.atomic().__enter__()
    ping.enqueue(99)


@background
def begin_in_raw_sql() -> None:
    connection.cursor().execute("BEGIN")


@background
def leave_autocommit_off() -> None:
    transaction.set_autocommit(False)
    ping.enqueue(99)


@background
def break_connection() -> None:
    """Close the driver's connection behind Django's back."""
    connection.ensure_connection()
    connection.connection.close()


@background
def fail_in_sql() -> None:
    connection.cursor().execute("SELECT nothing FROM nowhere")


@background
def end_own_session() -> None:
    """Let the server end this connection, as a restart would."""
    statements = {
        "postgresql": "SELECT pg_terminate_backend(pg_backend_pid())",
        "mysql": "KILL CONNECTION_ID()",
        "sqlite": "SELECT 1",
    }
    connection.cursor().execute(statements[connection.vendor])


@background
def leave_thread() -> None:
    threading.Thread(target=time.sleep, args=(3600,), name="left-behind").start()


@background
def spoil_place() -> None:
    """Change whatever later tasks share."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()
    os.umask(0)
    os.environ["BGTASKS_LEFT_BEHIND"] = "yes"
    sys.path.insert(0, "/nowhere")
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@background
def tell_place() -> None:
    umask = os.umask(0o022)
    os.umask(umask)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    note("place", directory=str(Path.cwd()), umask=umask, left=os.environ.get("BGTASKS_LEFT_BEHIND"), files=files)


@background
def close_standard_input() -> None:
    os.close(0)


@background
def fork_and_return() -> None:
    pid = os.fork()
    if pid:
        note("copy", exit_code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@background
def end_a_child() -> None:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,))
    child.start()
    child.terminate()
    child.join()
    note("child", exit_code=child.exitcode)
