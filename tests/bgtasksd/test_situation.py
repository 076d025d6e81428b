"""What maintenance is told of the workers: nothing is lost in a full line, and the dead come before the living."""

from __future__ import annotations

import pytest

from bgtasksd.children import channel
from bgtasksd.supervisor.link import LinkState


@pytest.fixture
def briefed(situation):
    """One whose maintenance is up."""
    situation.maintenance.state = LinkState.READY
    situation.deaths.on_report = lambda death: situation.maintenance.send("death", **death)
    return situation


@pytest.fixture
def far_end(briefed):
    """Where maintenance would read."""
    briefed.maintenance.channel, theirs = channel.pair()
    yield theirs
    briefed.maintenance.channel.close()
    theirs.close()


def heard(far_end) -> list[tuple[str, object]]:
    """Read all, as maintenance does; return what is of consequence."""
    found = []
    while (received := far_end.receive()) is not None:
        message, _descriptors = received
        if message["kind"] != "free":
            found.append((message["kind"], message.get("worker", message.get("names"))))
    return found


def test_what_does_not_fit_into_the_line_of_maintenance_is_told_when_there_is_room(briefed, far_end):
    while briefed.maintenance.send("free"):
        pass
    briefed.deaths.report({"worker": "first"})
    briefed.deaths.report({"worker": "second"})
    briefed.tell_workers()
    assert briefed.are_workers_untold
    assert heard(far_end) == []
    briefed.tell_workers()
    assert heard(far_end) == [("death", "first"), ("death", "second"), ("workers", [])]
    assert not briefed.are_workers_untold
    briefed.tell_workers()
    assert heard(far_end) == [("workers", [])]


def test_more_deaths_than_the_line_holds_are_told_piece_by_piece_and_then_who_lives(briefed, far_end):
    names = [f"{number}" for number in range(1000)]
    for name in names:
        briefed.deaths.report({"worker": name, "reason": "x" * 1000})
    found = []
    for _ in range(100):
        briefed.tell_workers()
        found += heard(far_end)
        if not briefed.are_workers_untold:
            break
    assert found == [*(("death", name) for name in names), ("workers", [])]
