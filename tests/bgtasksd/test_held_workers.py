"""The zygote holds every worker, to end it should the supervisor die: also those for which its line had no room."""

from __future__ import annotations

import os

import pytest

from bgtasksd.children import channel
from bgtasksd.children.process import Process
from bgtasksd.supervisor import zygotes
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.generations import make_zygote
from bgtasksd.supervisor.link import LinkState


@pytest.fixture
def zygote(situation):
    """The other end of the line to a zygote that is ready."""
    situation.zygote.channel, theirs = channel.pair()
    situation.zygote.state = LinkState.READY
    yield theirs
    situation.zygote.channel.close()
    theirs.close()


@pytest.fixture
def child(situation):
    """A worker that runs, for all the supervisor knows."""
    index = situation.board.take()
    ours, theirs = channel.pair()
    theirs.close()
    child = Child(1, 1, "host:one:1:0", index, situation.board.page(index), ours, dump=-1, spawned_at=0.0)
    child.process = Process(os.getpid())
    situation.slots.all[0].child = child
    yield child
    child.process.close()
    ours.close()


def heard(zygote) -> list[str]:
    found = []
    while (received := zygote.receive()) is not None:
        message, descriptors = received
        channel.close_all(descriptors)
        found.append(message["kind"])
    return found


def test_what_did_not_fit_the_line_is_sent_once_there_is_room(situation, zygote, child):
    while situation.zygote.send("filler"):
        pass
    zygotes.hand_over(situation, child)
    zygotes.hand_over_what_is_owed(situation)
    assert "adopt" not in heard(zygote)
    for expected in (["adopt"], []):
        zygotes.hand_over_what_is_owed(situation)
        assert heard(zygote) == expected


def test_a_worker_whose_hello_was_faster_than_its_pid_is_held_by_the_next_zygote(situation, zygote, child):
    before = make_zygote(situation.loop, situation.clock)
    message = {"kind": "forked", "worker": child.worker, "pid": os.getpid()}
    zygotes.hear_zygote(situation, before, message, [os.pidfd_open(os.getpid())])
    assert heard(zygote) == ["adopt"]
    os.close(before.dump)
