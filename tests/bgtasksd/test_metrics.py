"""The figures for Prometheus, read back by Prometheus' own client."""

from __future__ import annotations

import copy
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bgtasksd.executions import MOST_PLACES, Executions
from bgtasksd.metrics import MOST_QUEUES, text
from tests.bgtasksd.example import status_facts

FACTS: dict[str, Any] = status_facts()


def samples(told: str) -> dict[tuple[str, str], float]:
    """Return every value by the metric's name and its labels' values."""
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
    }


def test_every_figure_is_read_back() -> None:
    found = samples(text(FACTS, {"max_age": 2}, Executions()))
    assert found["bgtasks_workers", "busy"] == sum(each["state"] == "busy" for each in FACTS["workers"])
    assert found["bgtasks_workers", "unkillable"] == 0
    assert found["bgtasks_worker_exits_total", "max_age"] == 2
    assert found["bgtasks_worker_exits_total", "out_of_memory"] == 0
    for queue in FACTS["queues"]:
        assert found["bgtasks_tasks", f"{queue['name']} ready"] == queue["ready"]
        assert found.get(("bgtasks_queue_oldest_ready_age_seconds", queue["name"])) == queue["oldest_ready_age_s"]
        assert found["bgtasks_queue_paused", queue["name"]] == queue["paused"]


def test_names_of_queues_cannot_break_out_and_are_bounded() -> None:
    facts = copy.deepcopy(FACTS)
    wild = 'a"} 1\nevil 2\\'
    facts["queues"] = [{**FACTS["queues"][0], "name": name} for name in [wild, *map(str, range(MOST_QUEUES))]]
    found = samples(text(facts, {}, Executions()))
    assert ("bgtasks_queue_paused", wild) in found
    assert not any("evil" in name for name, _ in found)
    assert sum(name == "bgtasks_queue_paused" for name, _ in found) == MOST_QUEUES


def test_executions_of_several_workers_add_up_to_counts_and_histograms() -> None:
    kept = Executions()
    for duration in (0.01, 0.02, 7200.0):
        worker = Executions()
        worker.add("shop.sell", "mail", "successful", duration=duration, waited=0.5)
        kept.merge(worker.as_json())
    kept.add_death("shop.sell", "crashed")
    found = samples(text(FACTS, {}, kept))
    assert found["bgtasks_task_executions_total", "shop.sell mail successful"] == 3
    assert found["bgtasks_task_executions_total", "shop.sell  crashed"] == 1, "nobody knows its queue"
    buckets = [found["bgtasks_task_duration_seconds_bucket", f"shop.sell mail {le}"] for le in ("0.01", "0.1", "+Inf")]
    assert buckets == [1, 2, 3]
    assert found["bgtasks_task_duration_seconds_sum", "shop.sell mail"] == 7200.03
    assert found["bgtasks_task_wait_seconds_count", "mail"] == 3


def test_names_of_tasks_and_queues_are_bounded() -> None:
    kept = Executions()
    for number in range(MOST_PLACES + 5):
        worker = Executions()
        worker.add(f"task {number}", f"queue {number}", "failed", duration=1.0, waited=1.0)
        kept.merge(worker.as_json())
    for sums in (kept.ended, kept.durations, kept.waits):
        assert len(sums) == MOST_PLACES + 1
    assert kept.ended["others", "others", "failed"] == 5
