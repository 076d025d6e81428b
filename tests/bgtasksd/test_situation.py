"""What maintenance is told of the workers: nothing is lost in a full line, and the dead come before the living."""

from __future__ import annotations

import os

import pytest

from bgtasksd.children import channel
from bgtasksd.options import Options
from bgtasksd.supervisor.link import LinkState
from bgtasksd.supervisor.making import make_situation


@pytest.fixture
def situation(tmp_path):
    situation = make_situation(Options(settings="none", root=str(tmp_path), runtime_dir=str(tmp_path), workers=1))
    situation.maintenance.state = LinkState.READY
    situation.deaths.on_report = lambda death: situation.maintenance.send("death", **death)
    yield situation
    situation.loop.selector.close()
    for descriptor in (*situation.loop._wakeup, situation.board.descriptor):
        os.close(descriptor)
    for link in (situation.zygote, situation.maintenance):
        os.close(link.dump)


@pytest.fixture
def far_end(situation):
    """Where maintenance would read."""
    situation.maintenance.channel, theirs = channel.pair()
    yield theirs
    situation.maintenance.channel.close()
    theirs.close()


def heard(far_end) -> list[tuple[str, object]]:
    """Read all, as maintenance does; return what is of consequence."""
    found = []
    while (received := far_end.receive()) is not None:
        message, _descriptors = received
        if message["kind"] != "free":
            found.append((message["kind"], message.get("worker", message.get("names"))))
    return found


def test_what_does_not_fit_into_the_line_of_maintenance_is_told_when_there_is_room(situation, far_end):
    while situation.maintenance.send("free"):
        pass
    situation.deaths.report({"worker": "first"})
    situation.deaths.report({"worker": "second"})
    situation.tell_workers()
    assert situation.are_workers_untold
    assert heard(far_end) == []
    situation.tell_workers()
    assert heard(far_end) == [("death", "first"), ("death", "second"), ("workers", [])]
    assert not situation.are_workers_untold
    situation.tell_workers()
    assert heard(far_end) == [("workers", [])]


def test_more_deaths_than_the_line_holds_are_told_piece_by_piece_and_then_who_lives(situation, far_end):
    names = [f"{number}" for number in range(1000)]
    for name in names:
        situation.deaths.report({"worker": name, "reason": "x" * 1000})
    found = []
    for _ in range(100):
        situation.tell_workers()
        found += heard(far_end)
        if not situation.are_workers_untold:
            break
    assert found == [*(("death", name) for name in names), ("workers", [])]
