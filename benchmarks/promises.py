"""What is promised of speed, each with its gate and aim, and the scenario whose figures show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

ALL = ("postgres", "mariadb", "sqlite")
SERVERS = ("postgres", "mariadb")

Figures = Mapping[str, Mapping[str, float]]
"""Medians by variant and name."""


@dataclass(frozen=True)
class Run:
    """One call of a scenario: its options in full and, with less to do, the quick ones."""

    scenario: str
    full: str
    quick: str
    databases: tuple[str, ...] = ALL


ROWS = "--ready {0} --scheduled {0} --history {0}"
RUNS = {
    "drain": Run("drain", "--repeats 2 --tasks 100000", "--tasks 20000"),
    "each": Run("drain", "--repeats 2 --tasks 20000 --settle each", "--tasks 5000 --settle each"),
    "ceiling": Run("ceiling", "--tasks 100000", "--tasks 20000", ("postgres",)),
    "cpu": Run("cpu", "--tasks 20000", "--tasks 5000"),
    "enqueue": Run("enqueue", "--seconds 4", "--seconds 1.5"),
    "latency": Run("latency", "--tasks 60 --ways socket notify", "--tasks 20 --ways socket notify"),
    "lateness": Run("lateness", "--tasks 60 --over 12", "--tasks 20 --over 5"),
    "backlog": Run("backlog", ROWS.format("{rows}"), ROWS.format(50_000)),
    "snapshot": Run("snapshot", "--tasks 200000", "--tasks 20000", ("postgres",)),
    "mixed": Run("mixed", "--seconds 10", "--seconds 4"),
    "idle": Run("idle", "--seconds 60", "--seconds 60"),  # in less there is a renewal or none, and a tick is 0.2 %
    "supervisor": Run("supervisor", "--seconds 30", "--seconds 8"),
    "clients": Run("clients", "--seconds 15", "--seconds 5", ("postgres",)),
    "memory": Run("memory", "", ""),
    "recovery": Run("recovery", "--kills 10", "--kills 3"),
    "storm": Run("storm", "--tasks 20000", "--tasks 3000"),
}  # fmt: skip


@dataclass(frozen=True)
class Promise:
    """One line of the table."""

    text: str
    gate: str
    aim: str
    run: str
    value: Callable[[Figures], float]
    """The figure that is held against the limit."""
    limits: Mapping[str, float]
    """By database: what the gate says; of a database that is not named nothing is promised."""
    at_least: bool = False
    """Whether more is better."""
    unit: str = ""

    def is_met(self, database: str, value: float) -> bool:
        """Tell whether the gate is passed."""
        limit = self.limits.get(database)
        return limit is None or (value >= limit if self.at_least else value <= limit)


def everywhere(limit: float) -> dict[str, float]:
    """Return the same limit for each database."""
    return dict.fromkeys(ALL, limit)


def first(name: str) -> Callable[[Figures], float]:
    """Return the function that takes this figure of the only variant."""
    return lambda figures: next(iter(figures.values()))[name]


def of(variant: str, name: str) -> Callable[[Figures], float]:
    """Return the function that takes this figure of a variant."""
    return lambda figures: figures[variant][name]


def ratio(one: tuple[str, str], other: tuple[str, str]) -> Callable[[Figures], float]:
    """Return the function that divides one figure by another."""
    return lambda figures: figures[one[0]][one[1]] / figures[other[0]][other[1]]


def beyond_those_in_hand(figures: Figures) -> float:
    """Return how many bodies ran twice although their worker was not killed in the middle of them."""
    storm = next(iter(figures.values()))
    return max(0.0, storm["twice_without_supervisor_kill"] - storm["worker_kills"])


PROMISES = (
    Promise(
        "tasks/s, default settings, 4 workers", "12,000 / 4,000 / 8,000", "25,000 / 8,000 / 20,000", "drain",
        first("tasks_per_second"), {"postgres": 12_000, "mariadb": 4_000, "sqlite": 8_000}, at_least=True,
    ),
    Promise(
        'tasks/s, `settle="each"`, 4 workers', "3,000", "6,000", "each",
        first("tasks_per_second"), {"postgres": 3_000}, at_least=True,
    ),
    Promise("plain SQL by pgbench, tasks/s", "", "", "ceiling", first("plain_sql_tasks_per_second"), {}),
    Promise("a drain's share of it", "", "", "ceiling", first("share"), {}),
    Promise(
        "CPU per no-op task in the worker, without the driver", "60 µs", "40 µs", "cpu",
        first("cpu_us_per_task_without_driver"), everywhere(60), unit=" µs",
    ),
    Promise(
        "enqueue one, CPU", "80 µs", "50 µs", "enqueue",
        of("one", "cpu_us_per_task"), everywhere(80), unit=" µs",
    ),
    Promise("enqueue one, a second", "", "", "enqueue", of("one", "tasks_per_second"), {}),
    Promise(
        "`enqueue_many`, 1,000 a call, a second", "40,000", "100,000", "enqueue",
        of("many", "tasks_per_second"), everywhere(40_000), at_least=True,
    ),
    Promise(
        "enqueue → start when idle, same host, p50", "3 ms", "1 ms", "latency",
        of("socket", "p50_ms"), everywhere(3), unit=" ms",
    ),
    Promise(
        "enqueue → start when idle, NOTIFY, p50", "5 ms", "2 ms", "latency",
        of("notify", "p50_ms"), {"postgres": 5}, unit=" ms",
    ),
    Promise(
        "a scheduled task's lateness when idle, p99", "50 ms", "10 ms", "lateness",
        first("p99_ms"), everywhere(50), unit=" ms",
    ),
    Promise(
        "turn p99 with the backlog", "5 ms", "2 ms", "backlog",
        of("backlog", "p99_ms_analysed"), everywhere(5), unit=" ms",
    ),
    Promise(
        "the same before the first ANALYZE, against after it (p50)", "1.2 ×", "1.0 ×", "backlog",
        ratio(("backlog", "p50_ms"), ("backlog", "p50_ms_analysed")), everywhere(1.2), unit=" ×",
    ),
    Promise(
        "throughput beside rows in a queue not served", "0.9 ×", "1.0 ×", "backlog",
        ratio(("small", "p50_ms_analysed"), ("unserved", "p50_ms_analysed")), everywhere(0.9), at_least=True, unit=" ×",
    ),
    Promise(
        "throughput beside rows in a paused queue", "0.9 ×", "1.0 ×", "backlog",
        ratio(("small", "p50_ms_analysed"), ("paused", "p50_ms_analysed")), everywhere(0.9), at_least=True, unit=" ×",
    ),
    Promise(
        "throughput beside a pinned snapshot", "0.5 ×", "0.8 ×", "snapshot",
        ratio(("pinned", "tasks_per_second"), ("undisturbed", "tasks_per_second")), {"postgres": 0.5},
        at_least=True, unit=" ×",
    ),
    Promise("a short task's wait beside long ones, p99", "", "", "mixed", first("p99_ms"), {}, unit=" ms"),
    Promise(
        "4 idle workers, queries/s", "1", "", "idle",
        first("queries_per_second"), {"postgres": 1, "mariadb": 1},
    ),
    Promise("4 idle workers, CPU of a core", "0.5 %", "", "idle", first("cpu_percent"), everywhere(0.5), unit=" %"),
    Promise(
        "16 workers at short tasks, CPU of the supervisor", "1 %", "", "supervisor",
        of("short", "cpu_percent"), everywhere(1), unit=" %",
    ),
    Promise(
        "16 workers at long tasks, CPU of the supervisor", "1 %", "", "supervisor",
        of("long", "cpu_percent"), everywhere(1), unit=" %",
    ),
    Promise(
        "an answer amid 1,000 clients that misbehave, p50", "10 ms", "", "clients",
        first("kept_p50_ms"), {"postgres": 10}, unit=" ms",
    ),
    Promise(
        "private memory of an idle worker", "5 MB", "2 MB", "memory",
        first("worker_own_mb"), everywhere(5), unit=" MB",
    ),
    Promise(
        "memory of the whole tree with 4 workers (PSS)", "75 MB", "60 MB", "memory",
        first("whole_tree_share_mb"), everywhere(75), unit=" MB",
    ),
    Promise(
        "SIGKILL of a worker → its task claimable, worst", "1 s", "0.1 s", "recovery",
        first("worst_ms"), everywhere(1000), unit=" ms",
    ),
    Promise("lost in the storm", "0", "", "storm", first("lost"), everywhere(0)),
    Promise("completed twice in the storm", "0", "", "storm", first("completed_twice"), everywhere(0)),
    Promise("run again after completion", "0", "", "storm", first("run_after_completion"), everywhere(0)),
    Promise(
        "run twice, no supervisor killed between, beyond what killed workers had in hand", "0", "", "storm",
        beyond_those_in_hand, everywhere(0),
    ),
    Promise("run twice in all", "", "", "storm", first("bodies_run_twice"), {}),
    Promise("workers killed in the storm", "", "", "storm", first("worker_kills"), {}),
)  # fmt: skip
"""Gates and aims in the order PostgreSQL / MariaDB / SQLite where they differ."""
