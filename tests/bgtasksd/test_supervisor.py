"""The pure parts of the supervisor: pacing, verdicts, states, totals, deaths, the gate, the loop's order and gaps."""

from __future__ import annotations

import itertools
import json
import os
import selectors
import signal
import socket
import time
from types import SimpleNamespace

import pytest

from bgtasksd.children.exits import Exit
from bgtasksd.scoreboard import Record, Told, WorkState
from bgtasksd.supervisor import retirement, viewing
from bgtasksd.supervisor.breaker import Breaker
from bgtasksd.supervisor.child import Cause, Child
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.deaths import Deaths
from bgtasksd.supervisor.loop import NOTHING_NEW, Loop, LoopBroken, Rank
from bgtasksd.supervisor.pacing import Backoff, SpawnBudget
from bgtasksd.supervisor.states import EDGES, IllegalEdge, State
from bgtasksd.supervisor.totals import Totals
from bgtasksd.supervisor.verdicts import verdict_on


def test_backoff_doubles_to_a_minute_with_jitter_and_starts_anew_after_a_reset():
    backoff = Backoff()
    delays = [backoff.failed(now=0.0) for _ in range(12)]
    for delay, middle in zip(delays, [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60], strict=True):
        assert 0.8 * middle <= delay <= 1.2 * middle
    assert backoff.is_hopeless
    backoff.reset()
    assert backoff.is_over(now=0.0)
    assert backoff.failed(now=0.0) < 1


def test_at_most_twelve_spawns_in_the_first_minute_of_failures_and_then_one_a_minute():
    backoff, now, spawns = Backoff(), 0.0, []
    while now < 300:
        spawns.append(now)
        now += backoff.failed(now)
    assert len([at for at in spawns if at < 60]) <= 12
    assert len([at for at in spawns if at >= 120]) <= 4


def test_the_budget_of_unplanned_spawns_fills_up_over_a_minute():
    budget = SpawnBudget(10)
    assert [budget.take(100.0) for _ in range(11)] == [True] * 10 + [False]
    assert budget.next_at(100.0) == pytest.approx(106.0)
    assert budget.take(106.01)
    assert not budget.take(106.02)


def verdict(exit_, **facts):
    return verdict_on(
        exit_, **{"bye": "", "cause": None, "has_booted": True, "was_killed": False, "oom": False, **facts}
    )


@pytest.mark.parametrize(
    ("exit_", "facts", "label", "ending", "is_planned"),
    [
        (Exit(code=0), {"bye": "max_age"}, "max_age", "stopped", True),
        (Exit(code=0), {"bye": "damaged"}, "damaged", "stopped", False),
        (Exit(code=0), {}, "exit_code", "crashed", False),
        (Exit(code=3), {"bye": "stopped"}, "exit_code", "crashed", False),
        (Exit(code=70), {"has_booted": False}, "boot_failure", "crashed", False),
        (Exit(signal=9), {}, "signal", "crashed", False),
        (Exit(signal=9), {"oom": True}, "out_of_memory", "crashed", False),
        (Exit(signal=11), {}, "signal", "crashed", False),
        (Exit(signal=9), {"was_killed": True, "cause": Cause.TIME_LIMIT}, "time_limit", "limit", False),
        (Exit(signal=9), {"was_killed": True, "cause": Cause.STOP}, "stopped", "stopped", True),
        (Exit(signal=9), {"was_killed": True, "cause": Cause.CANCELLED}, "cancelled", "cancelled", True),
        (Exit(signal=9), {"was_killed": True, "cause": Cause.CLAIM_LOST}, "claim_lost", "lease_lost", False),
        (Exit(signal=9), {"was_killed": True, "cause": Cause.KILLED}, "killed", "operator", True),
        (Exit(signal=11), {"cause": Cause.TIME_LIMIT}, "signal", "crashed", False),
    ],
)
def test_why_a_worker_ended_and_what_becomes_of_its_task(exit_, facts, label, ending, is_planned):
    found = verdict(exit_, **facts)
    assert (found.label, found.ending, found.is_planned) == (label, ending, is_planned)


def make_child() -> Child:
    return Child(1, 1, "host:one:1:0", 0, page=None, channel=None, dump=-1, spawned_at=0.0)  # type: ignore[arg-type]


def test_a_state_is_entered_only_from_one_that_leads_to_it():
    child = make_child()
    child.enter(State.BOOTING, 1.0)
    child.enter(State.IDLE, 2.0)
    with pytest.raises(IllegalEdge, match="spawning → booting → idle"):
        child.enter(State.BOOTING, 3.0)
    assert all(State.EXITED in EDGES[state] for state in State if state is not State.EXITED)


@pytest.mark.parametrize(("slots", "places"), [(1, 1), (2, 1), (4, 1), (7, 1), (8, 2), (64, 16)])
def test_a_quarter_of_the_workers_may_leave_at_a_time(slots, places):
    assert retirement.places(slots) == places


def test_the_clock_leaves_gaps_out():
    clock = Clock()
    before = clock.now()
    clock.skip(100)
    assert clock.now() - before < -90
    assert clock.at(time.monotonic()) == pytest.approx(clock.now(), abs=1)


def test_totals_keep_what_the_dead_did_and_know_the_last_hour():
    totals = Totals()
    totals.sample(0.0, totals.sum([]))
    totals.bury(Record(WorkState.IDLE, done=5, failed=1, retried=1))
    living = [Record(WorkState.IDLE, done=2)]
    total = totals.sum(living)
    assert (total["done"], total["failed"]) == (7, 1)
    assert totals.last_hour(total) == {"done": 7, "failed": 1, "retried": 1, "reclaimed": 0}
    for minute in range(1, 62):
        totals.sample(minute * 60.0, total)
    assert totals.last_hour(total)["done"] == 0


def death_of(worker):
    return {"worker": worker, "ending": "crashed", "reason": "signal", "running": [], "finished": []}


def test_a_spool_full_of_garbage_does_not_keep_the_daemon_from_starting(tmp_path):
    deaths, told = Deaths(tmp_path, Clock()), []
    deaths.on_report = lambda death: told.append(death) or True
    whole = json.dumps(death_of("a")).encode()
    deaths.path.write_bytes(b'\xff\xfe\n{"worker": 1}\n[]\n' + whole + b"\n" + whole[:20])
    deaths.replay()
    assert [death["worker"] for death in told] == ["a"]


@pytest.mark.parametrize("text", [b"5", b"null", b"[1]", b"\xff", b"{"])
def test_progress_on_a_spoiled_page_is_none(text):
    assert viewing._progress(Told(1, 2, text)) is None


def test_deaths_are_told_until_they_are_accounted_for_and_survive_a_restart(tmp_path):
    clock, told = Clock(), []
    deaths = Deaths(tmp_path, clock)
    deaths.on_report = lambda death: told.append(death) or True
    deaths.report(death_of("a"))
    deaths.report(death_of("b"))
    deaths.account([1])
    deaths.tell_again()
    assert [death["worker"] for death in told] == ["a", "b", "b"]
    assert not deaths.are_safe
    clock.skip(-6)  # six seconds pass
    deaths.run()
    assert deaths.are_safe

    again = Deaths(tmp_path, clock)
    told.clear()
    again.on_report = deaths.on_report
    again.replay()
    assert [death["worker"] for death in told] == ["b"]
    again.account([told[0]["id"]])
    assert not again.path.exists()


def test_a_full_spool_loses_deaths_and_not_the_daemon(tmp_path, caplog):
    deaths = Deaths(tmp_path, Clock())
    for number in range(2000):
        deaths.report({"worker": str(number), "reason": "x" * 1000})
    deaths.spool()
    assert deaths.path.stat().st_size <= 1024 * 1024
    assert "is full" in caplog.text
    assert deaths.are_safe


class Recorder:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def next_at(self):
        return None

    def run(self):
        self.log.append(self.name)


@pytest.fixture
def loop():
    loop = Loop(Clock())
    yield loop
    loop.selector.close()
    for descriptor in loop._wakeup:
        os.close(descriptor)


def test_a_turn_acts_on_exits_before_messages_before_signals_and_then_on_duties(loop):
    log, pipes = [], [os.pipe() for _ in range(4)]
    for (reader, writer), rank in zip(pipes, (Rank.COMMAND, Rank.SIGNAL, Rank.EXIT, Rank.MESSAGE), strict=True):
        os.write(writer, b"x")
        loop.watch(reader, rank, lambda rank=rank: log.append(rank.name))
    loop.duties.append(Recorder(log, "duty"))
    loop.turn()
    assert log == ["EXIT", "MESSAGE", "SIGNAL", "COMMAND", "duty"]
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)


def test_an_event_that_is_nothing_new_leaves_the_duties_to_their_time_and_a_timer_too(loop):
    log, (reader, writer) = [], os.pipe()
    loop.watch(reader, Rank.MESSAGE, lambda: (log.append("heard"), NOTHING_NEW)[1])
    loop.duties.append(Recorder(log, "duty"))
    loop.timers.append(SimpleNamespace(next_at=lambda: None, run=lambda: NOTHING_NEW))
    loop.turn()
    os.write(writer, b"x")
    loop.turn()
    loop.turn()
    assert log == ["duty", "heard", "heard"]
    loop.timers[0].run = lambda: log.append("timer")
    loop.turn()
    assert log[3:] == ["heard", "timer", "duty"]
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_the_duties_are_run_when_the_first_of_them_is_due(loop):
    log = []
    first = Recorder(log, "duty")
    first.next_at = lambda: loop.clock.now() + 0.02
    loop.duties.append(first)
    begun = time.monotonic()
    for _ in range(3):
        loop.turn()
    assert log == ["duty"] * 3
    assert 0.03 < time.monotonic() - begun < loop.longest_wait


def test_a_failing_callback_is_rebuilt_and_too_many_of_them_break_the_loop(loop, caplog):
    rebuilt = []
    for _ in range(10):
        loop.guard(lambda: 1 / 0, lambda: rebuilt.append(1))
    assert len(rebuilt) == 10
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(LoopBroken):
        loop.guard(lambda: 1 / 0)


def test_clients_get_a_share_of_the_turn_and_whom_it_does_not_reach_comes_first_in_the_next(loop, monkeypatch):
    log, pairs = [], [socket.socketpair() for _ in range(5)]
    server = SimpleNamespace(handle=lambda key, mask: log.append(key.fd), drop=lambda key: None)
    for ours, theirs in pairs:
        theirs.send(b"x")
        loop.selector.register(ours, selectors.EVENT_READ, server)
    moments = itertools.count()
    monkeypatch.setattr("bgtasksd.supervisor.loop.CLIENTS_SHARE", 1.5)
    monkeypatch.setattr(loop, "_leave_gap_out", lambda timeout: None)
    monkeypatch.setattr("bgtasksd.supervisor.loop.time", SimpleNamespace(monotonic=lambda: float(next(moments))))
    for _ in range(10):
        loop.turn()
    assert log == [ours.fileno() for ours, _ in pairs] * 2, "one a turn, in turn"
    for each in itertools.chain(*pairs):
        each.close()


def test_what_was_forgotten_in_the_same_turn_is_not_called_any_more(loop):
    log, first, second = [], os.pipe(), os.pipe()
    for pipe in (first, second):
        os.write(pipe[1], b"x")
    loop.watch(first[0], Rank.EXIT, lambda: (log.append("exit"), loop.forget(second[0])))
    loop.watch(second[0], Rank.MESSAGE, lambda: log.append("message"))
    loop.turn()
    assert log == ["exit"]
    for descriptor in (*first, *second):
        os.close(descriptor)


def test_signals_wake_the_loop_and_arrive_as_a_set(loop):
    handlers = {
        number: signal.getsignal(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    }
    heard = []
    try:
        loop.hear_signals()
        loop.on_signals = heard.append
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.turn()
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            if handler is not signal.getsignal(number):
                signal.signal(number, handler)
    assert heard == [{signal.SIGHUP, signal.SIGUSR1}]


def test_a_gap_is_left_out_wherever_in_a_turn_it_falls(loop, monkeypatch):
    seen, skipped = [], []
    loop.on_gap = skipped.append
    loop.longest_wait = 0.0
    moments = iter([100.0] * 4 + [107.0])  # a stop of seven seconds while the first duty runs

    class Looking(Recorder):
        def run(self):
            seen.append(loop.clock.now())

    loop.duties += [Looking([], "first"), Looking([], "second")]
    loop._checked_at = 100.0
    before = loop.clock.skipped
    monkeypatch.setattr("bgtasksd.supervisor.loop.time.monotonic", lambda: next(moments, 107.0))
    loop.turn()
    assert skipped
    assert skipped[0] == pytest.approx(7.0)
    assert loop.clock.skipped - before == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("given", "pid", "ends"), [(None, 4711, False), (None, 1, True), ("wait", 1, False), ("exit", 4711, True)]
)
def test_an_open_breaker_ends_the_daemon_by_policy_and_without_one_as_process_1(given, pid, ends, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: pid)
    slots = SimpleNamespace(are_hopeless=True)
    situation = SimpleNamespace(options=SimpleNamespace(on_failed=given), slots=slots, error_text="", error_code=0)
    breaker = Breaker(situation)
    breaker.run()
    breaker.run()
    assert (situation.error_code, bool(situation.error_text)) == ((70, True) if ends else (0, False))
