"""Zygote and maintenance of each generation of the application's code: made, watched, and relieved by the next ones."""

from __future__ import annotations

from collections.abc import Callable

from bgtasksd.options import Options
from bgtasksd.supervisor import upkeep, zygotes
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.link import MAINTENANCE_GRACE, Link
from bgtasksd.supervisor.loop import Loop
from bgtasksd.supervisor.shaping import reshape
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.source import Source
from bgtasksd.supervisor.waking import Waking

ZYGOTE, MAINTENANCE = "bgtasksd.zygote.serving:serve", "bgtasksd.maintenance.serving:serve"
LONGEST_BACKOFF = 5.0
SILENCE = 60.0
"""Seconds without a turn after which maintenance is ended; its statements are bounded by less."""


def make_zygote(loop: Loop, clock: Clock) -> Link:
    """Return a zygote that nobody has started yet."""
    return Link("zygote", ZYGOTE, loop, clock, LONGEST_BACKOFF)


def make_maintenance(loop: Loop, clock: Clock) -> Link:
    """Return a maintenance process that nobody has started yet."""
    link = Link("maintenance", MAINTENANCE, loop, clock, LONGEST_BACKOFF)
    link.longest_silence = SILENCE
    return link


class Generations:
    """Runs the two in charge and those beside them: the next ones, still starting, and earlier ones, leaving."""

    def __init__(self, situation: Situation, waking: Waking, descriptors: Callable[[], list[int]]) -> None:
        self.situation = situation
        self.waking = waking
        self.descriptors = descriptors
        """Everything of the supervisor's but the scoreboard."""
        self.numbers = situation.generation
        """The last number given to one."""

    def introduce(self, options: Options) -> None:
        """Tell the two in charge what they need to know."""
        self._introduce_zygote(self.situation.zygote, options)
        self._introduce_maintenance(self.situation.maintenance, options, self.situation.zygote)

    def _introduce_zygote(self, link: Link, options: Options) -> None:
        situation = self.situation
        link.boot_timeout = options.boot_timeout
        link.preloads = options.preload == "auto"
        link.inherited = lambda: [*self.descriptors(), situation.board.descriptor]
        link.arguments = lambda: {"options": options, "preload": link.preloads}
        link.on_message = lambda message, held: zygotes.hear_zygote(situation, link, message, held)

    def _introduce_maintenance(self, link: Link, options: Options, zygote: Link) -> None:
        """Tell one what it needs to know. Until `zygote` is in charge it forks this one only, then every next one."""
        situation = self.situation
        link.boot_timeout = options.boot_timeout
        link.inherited = self.descriptors
        link.arguments = lambda: {"options": options, "board": situation.board.descriptor}
        link.source = Source(
            lambda: zygote if zygote in situation.beside else situation.zygote, lambda: situation.board.descriptor
        )
        link.on_message = lambda message, held: upkeep.hear_maintenance(situation, self.waking, link, message, held)

    def start_zygote(self, options: Options) -> Link:
        """Start a zygote beside the one in charge."""
        link = make_zygote(self.situation.loop, self.situation.clock)
        self._introduce_zygote(link, options)
        return self._start(link)

    def start_maintenance(self, options: Options, zygote: Link) -> Link:
        """Start a maintenance process beside the one in charge, of the generation of this zygote."""
        link = make_maintenance(self.situation.loop, self.situation.clock)
        self._introduce_maintenance(link, options, zygote)
        return self._start(link)

    def _start(self, link: Link) -> Link:
        self.situation.beside.append(link)
        link.start()
        return link

    def put_in_charge(self, zygote: Link, number: int, options: Options) -> Link:
        """Have this zygote, which is ready, fork from now on; return the one that did. Nobody is ended."""
        situation = self.situation
        reshape(situation, situation.options, options)
        before, situation.zygote = situation.zygote, zygote
        situation.generation, situation.options = number, options
        situation.beside = [*(link for link in situation.beside if link is not zygote), before]
        zygotes.hand_over_workers(situation)
        return before

    def relieve_maintenance(self, link: Link) -> None:
        """Have this maintenance process, which has booted, take over from the one in charge, and end that."""
        situation = self.situation
        before, situation.maintenance = situation.maintenance, link
        situation.beside = [*(each for each in situation.beside if each is not link), before]
        upkeep.brief_maintenance(situation)
        before.end(MAINTENANCE_GRACE)

    def next_number(self) -> int:
        """Return the number of the next generation; none is given twice."""
        self.numbers = max(self.numbers, self.situation.generation) + 1
        return self.numbers

    def next_at(self) -> float | None:
        """Return when there is something to do about one of them."""
        due = [at for each in self.situation.helpers() if (at := each.next_at()) is not None]
        return min(due, default=None)

    def run(self) -> None:
        """Start what is missing, end what is silent, forget those that have left; tell who lives if that is owed."""
        situation = self.situation
        for each in situation.helpers():
            each.run()
        if situation.are_workers_untold:
            situation.tell_workers()
        zygotes.hand_over_what_is_owed(situation)
        for link in [link for link in situation.beside if link.is_gone and not link.is_wanted]:
            situation.beside.remove(link)
            link.close()
        situation.errands = [errand for errand in situation.errands if errand.exit is None]
