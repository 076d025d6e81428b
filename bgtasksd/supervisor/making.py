"""A daemon in which nothing has happened yet. Nothing is started here."""

from __future__ import annotations

from bgtasksd.options import Options
from bgtasksd.scoreboard import Board
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.deaths import Deaths
from bgtasksd.supervisor.generations import make_maintenance, make_zygote
from bgtasksd.supervisor.loop import Loop
from bgtasksd.supervisor.pacing import SpawnBudget, spawns_a_minute
from bgtasksd.supervisor.scaling import pages_for
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slots


def make_situation(options: Options) -> Situation:
    """Return a daemon in which nothing has happened yet."""
    clock = Clock()
    loop = Loop(clock)
    return Situation(
        options=options,
        clock=clock,
        loop=loop,
        board=Board(pages_for(options.workers, options.concurrency)),
        slots=Slots(options.workers_by_queues()),
        budget=SpawnBudget(spawns_a_minute(options.workers)),
        deaths=Deaths(options.runtime_dir, clock),
        zygote=make_zygote(loop, clock),
        maintenance=make_maintenance(loop, clock),
        started_at=clock.now(),
    )
