"""Whether a worker may start tasks: told by a word of its page, and taken back as quietly."""

from __future__ import annotations

from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.situation import Situation


def tell(situation: Situation, child: Child) -> None:
    """Have a worker start no further task while this host drains or its place is given up; else let it go on."""
    is_to_hold = situation.is_draining or situation.slots.slot_of(child).is_surplus
    if is_to_hold == child.page.is_held:
        return
    if is_to_hold:
        child.page.hold()
    else:
        child.page.let_go()
    child.channel.send("wake")  # it hears of it at once, or looks for what it has not looked for meanwhile
