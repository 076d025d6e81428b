"""Filling the places without a process: what becomes of a try for which something is missing."""

from __future__ import annotations

import os

from bgtasksd.supervisor.link import LinkState
from bgtasksd.supervisor.spawning import Spawning


def test_without_a_page_the_place_waits_and_says_why_instead_of_being_due_all_the_time(situation, caplog):
    situation.zygote.state, taken = LinkState.READY, []
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
