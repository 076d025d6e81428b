"""Every scenario by its file. One more: write the file, with `add_arguments` and `run`, and name it here."""

from __future__ import annotations

from importlib.util import find_spec

_ALL = {
    "drain": "a real bgtasksd works through a full queue: tasks a second by workers and settling",
    "enqueue": "store tasks: one by one, in one transaction, and many in one call",
    "turn": "settle and claim, turn by turn, without a task function",
    "cpu": "CPU of one worker for a task that does nothing, the driver's part told apart",
    "latency": "from enqueueing to the start, when every worker is idle",
    "wait": "from enqueueing to the return of `wait`, when every worker is idle",
    "lateness": "how late scheduled tasks start, when every worker is idle",
    "backlog": "claiming with millions of rows ready, scheduled, paused or over",
    "snapshot": "throughput while an idle transaction pins the snapshot",
    "idle": "what four idle workers cost: queries a second, and CPU",
    "supervisor": "what the supervisor costs while 16 workers work: its CPU and how often it wakes",
    "clients": "how soon a daemon answers while a thousand clients misbehave",
    "memory": "what each process of an idle daemon holds: private and proportional memory",
    "recovery": "from SIGKILL of a worker until its task can be claimed",
    "side_by_side": "coroutines that wait, many at a time in one worker: how long they take, and its memory",
    "mixed": "how long short tasks wait while long ones run",
    "ceiling": "claims and settlements a second in plain SQL by pgbench, and the share of it that a drain reaches",
    "storm": "a drain under random SIGKILL of workers, maintenance and supervisor, counted by an outside ledger",
}
SCENARIOS = {name: meaning for name, meaning in _ALL.items() if find_spec(f"benchmarks.{name}")}
"""What runs on one database, with what it measures."""
_ACROSS = {
    "targets": "the table of promises, with what this machine measures on each database",
    "compare": "the same work by other queues, each in an environment of its own, on the same server",
}
ACROSS_DATABASES = {name: meaning for name, meaning in _ACROSS.items() if find_spec(f"benchmarks.{name}")}
"""What chooses its databases itself: these have a `main`."""
