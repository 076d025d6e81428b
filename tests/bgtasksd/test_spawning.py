"""Filling the places without a process: what becomes of a try for which something is missing."""

from __future__ import annotations

import os

import pytest

from bgtasksd.options import Options
from bgtasksd.supervisor.link import LinkState
from bgtasksd.supervisor.making import make_situation
from bgtasksd.supervisor.spawning import Spawning


@pytest.fixture
def situation(tmp_path):
    situation = make_situation(Options(settings="none", root=str(tmp_path), runtime_dir=str(tmp_path), workers=1))
    situation.zygote.state = LinkState.READY
    yield situation
    situation.loop.selector.close()
    for descriptor in (*situation.loop._wakeup, situation.board.descriptor):
        os.close(descriptor)
    for link in (situation.zygote, situation.maintenance):
        os.close(link.dump)


def test_without_a_page_the_place_waits_and_says_why_instead_of_being_due_all_the_time(situation, caplog):
    taken = []
    while (index := situation.board.take()) is not None:
        taken.append(index)
    spawning, (slot,) = Spawning(situation), situation.slots.wanted
    assert spawning.next_at() <= situation.clock.now()
    spawning.run()
    assert spawning.next_at() > situation.clock.now()
    assert "w1  not spawned: ENOSPC: every page of the scoreboard is in use; next try in " in caplog.text
    situation.board.free(taken.pop())
    situation.clock.skip(-1)  # a second passes
    spawning.run()
    assert slot.child is not None
    slot.child.channel.close()
    os.close(slot.child.dump)
