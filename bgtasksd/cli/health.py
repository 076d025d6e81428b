"""The text of `bgtasksd status`, made from the facts."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from bgtasks.output import format_count, one_line, paint
from bgtasks.progress import progress_in
from bgtasks.units import format_duration
from bgtasksd.status import BUSY, UP, Sight

FIX_COLUMN = 78
MOST_TASKS = 5
Facts = dict[str, Any]


def text_of(sight: Sight, *, colour: bool = False) -> str:
    """Return what people read: five lines, tasks that tell, and problems; or one line when nobody answers."""
    if sight.situation != "answered":
        return _silence(sight, colour=colour)
    facts = sight.facts
    lines = [
        headline(facts, colour=colour),
        f"  workers  {_workers(facts)}",
        *_bound(facts["workers"]),
        f"  queues   {_queues(facts)}",
        f"  last hr  {_last_hour(facts['last_hour'])}",
        f"  database {_database(facts['database'])}",
        *_tasks(facts["workers"]),
        *(problem_line(problem, colour=colour) for problem in facts["problems"]),
    ]
    return "\n".join(lines)


def _tasks(workers: list[Facts]) -> list[str]:
    """Return a line for each task that tells how far it is: those that run longest, up to a handful."""
    told = sorted((each for each in workers if each["progress"]), key=lambda each: -each["running_for_s"])
    lines = [
        f"  task     {one_line(each['task'])} {each['task_id']}  {told_progress(each)}   {short(each['running_for_s'])}"
        for each in told[:MOST_TASKS]
    ]
    return [*lines, *([f"           and {len(told) - MOST_TASKS:,} more"] if len(told) > MOST_TASKS else [])]


def told_progress(worker: Facts) -> str:
    """Return how far a worker's task is, in words; nothing if it does not tell."""
    told = progress_in(json.dumps(worker["progress"]))
    return "" if told is None else one_line(told.in_words())


def _silence(sight: Sight, *, colour: bool) -> str:
    mark, said, fix = silence_of(sight)
    return _with_fix(f"{paint(mark, 'red', enabled=colour)} {said}", fix)


def silence_of(sight: Sight) -> tuple[str, str, str]:
    """Return a mark, what it means that no daemon has answered, and what to type."""
    pid = "" if sight.pid is None else f" (pid {sight.pid})"
    return {
        "not_running": (
            "○",
            f"bgtasksd is not running, instance {sight.facts['instance']}, {sight.directory}",
            f"bgtasksd start{sight.options}",
        ),
        "died": (
            "○",
            f"bgtasksd{pid} died: its pid file is left in {sight.directory}",
            f"bgtasksd start{sight.options}",
        ),
        "silent": ("●", f"bgtasksd{pid} holds its lock and does not answer", f"kill -QUIT {sight.pid or 'PID'}"),
        "forbidden": (
            "?",
            f"no permission to ask the daemon in {sight.directory}",
            f"sudo bgtasksd status{sight.options}",
        ),
    }[sight.situation]


def headline(facts: Facts, *, colour: bool) -> str:
    """Return the state and who is meant."""
    state = facts["state"]
    tone = {"running": "green", "degraded": "red", "failed": "red"}.get(state, "yellow")
    since = "" if facts["started_at"] is None else f" since {_clock(facts['started_at'], facts['uptime_s'])}"
    uptime = "" if facts["uptime_s"] is None else f" ({short(facts['uptime_s'])})"
    bullet = paint("●", tone, enabled=colour)
    text = f"{bullet} bgtasksd {facts['version']} {state}{since}{uptime}, pid {facts['pid']}, {facts['settings']}"
    return _with_fix(text, "bgtasksd drain --undo" if state == "draining" else None)


def _clock(started_at: str, uptime: float | None) -> str:
    started = datetime.fromisoformat(started_at).astimezone()
    return started.strftime("%H:%M" if (uptime or 0) < 86400 else "%Y-%m-%d %H:%M")


def _workers(facts: Facts) -> str:
    states = [worker["state"] for worker in facts["workers"]]
    up, busy = sum(state in UP for state in states), sum(state in BUSY for state in states)
    recycled = {reason: count for reason, count in facts["totals"]["recycled"].items() if count}
    why = f" ({', '.join(f'{count:,} {reason}' for reason, count in recycled.items())})" if recycled else ""
    crashed = facts["totals"]["crashed"]
    total = sum(recycled.values())
    return f"{up}/{facts['workers_target']} up   {busy} busy   recycled {total:,}{why}   crashed {crashed:,}"


def _bound(workers: list[Facts]) -> list[str]:
    """Return one line on who serves what, unless every worker serves everything."""
    groups: dict[str, list[Facts]] = {}
    for worker in workers:
        groups.setdefault(",".join(worker["queues"] or ["*"]), []).append(worker)
    if groups.keys() <= {"*"}:
        return []
    return [f"           {'     '.join(f'{one_line(queues)}  {_up(group)}' for queues, group in groups.items())}"]


def _up(workers: list[Facts]) -> str:
    up, busy = (sum(worker["state"] in states for worker in workers) for states in (UP, BUSY))
    return f"{up}/{len(workers)} up" + (f", {busy} busy" if busy else "")


def _queues(facts: Facts) -> str:
    named = [_queue(queue, facts["count_cap"]) for queue in facts["queues"]]
    left_out = facts["queues_left_out"]
    return "     ".join([*named, *([f"and {left_out:,} more"] if left_out else [])]) or "none known yet"


def _queue(queue: Facts, cap: int) -> str:
    name = one_line(queue["name"])
    if queue["paused"]:
        return f"{name}  PAUSED{_pause(queue['pause'] or {})}"
    oldest = "" if queue["oldest_ready_age_s"] is None else f", oldest {short(queue['oldest_ready_age_s'])}"
    return f"{name}  {format_count(queue['ready'], cap)} ready{oldest}"


def _pause(pause: Facts) -> str:
    by = f" by {one_line(pause['by'])}" if pause.get("by") else ""
    if not pause.get("since"):
        return by
    left = f", {short(max(0.0, -_age(pause['until'])))} left" if pause.get("until") else ""
    return f"{by}, {short(max(0.0, _age(pause['since'])))}{left}"


def _age(at: str) -> float:
    moment = datetime.fromisoformat(at)
    return (datetime.now(moment.tzinfo) - moment).total_seconds()


def _last_hour(figures: Facts) -> str:
    done, failed = figures["done"], figures["failed"]
    share = f" ({100 * failed / (done + failed):.1f} %)" if failed else ""
    again = f"{figures['retried']:,} retried   {figures['reclaimed']:,} reclaimed"
    return f"{done:,} done   {failed:,} failed{share}   {again}"


def _database(database: Facts) -> str:
    vendor = database["vendor"] or "not known yet"
    away = ", UNREACHABLE" if database["reachable"] is False else ""
    contact = database["last_contact_s"]
    return f"{vendor}{away}" + ("" if contact is None else f", last contact {short(contact)} ago")


def problem_line(problem: Facts, *, colour: bool) -> str:
    """Return one problem and what to type."""
    is_error = problem["severity"] == "error"
    mark = paint("✗" if is_error else "!", "red" if is_error else "yellow", enabled=colour)
    subject = f"{problem['subject']}: " if problem["subject"] else ""
    return _with_fix(f"  {mark} {one_line(subject + problem['message'])}", problem["fix"])


def _with_fix(text: str, fix: str | None) -> str:
    return f"{text:<{FIX_COLUMN}} {fix}" if fix else text


def short(seconds: float) -> str:
    """Return a duration of a glance: `3.1 s` where the log says `3.10 s`."""
    return f"{seconds:.1f} s" if 0.05 <= seconds < 10 else format_duration(seconds)
