"""What workers say on their line: hello, booted, limit, bye, error; and what the zygote says of them."""

from __future__ import annotations

import logging
from functools import partial

from bgtasksd import journal
from bgtasksd.children import channel
from bgtasksd.children.channel import ChannelClosed, Message
from bgtasksd.children.exits import Exit
from bgtasksd.children.process import Process, start_ticks, unshared_bytes
from bgtasksd.supervisor import ending, exits, retirement, waking
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.loop import Rank
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import State

EXIT_CONFIGURATION = 78

logger = logging.getLogger("bgtasksd.supervisor")


def hear_worker(situation: Situation, child: Child) -> None:
    """Act on every message that waits on a worker's line."""
    while child.is_alive:
        try:
            received = child.channel.receive()
        except ChannelClosed:
            situation.loop.forget(child.channel)
            if child.process is None:
                exits.vanished(situation, child, "ended before its hello")
            return
        if received is None:
            return
        message, descriptors = received
        channel.close_all(descriptors)
        act_on(situation, child, message)


def act_on(situation: Situation, child: Child, message: Message) -> None:
    """Act on one message of a worker."""
    kind = message["kind"]
    if kind == "hello" and child.state is State.SPAWNING:
        _hello(situation, child, message)
    elif kind == "booted" and child.state in (State.BOOTING, State.DRAINING):
        _booted(situation, child, message)
    elif kind == "limit":
        retirement.ask(situation, child, str(message.get("reason")))
    elif kind == "more":
        waking.wake(situation, [""], but=child)
    elif kind == "bye":
        child.bye = str(message.get("reason"))
    elif kind == "error":
        child.error = str(message.get("text"))
        if not child.has_booted:
            _application_failed(situation, message)
    else:
        retirement.ask(situation, child, "damaged")


def _hello(situation: Situation, child: Child, message: Message) -> None:
    pid = int(message["pid"])
    if child.process is None:
        attach(situation, child, pid, None)
    if not child.is_alive or child.process is None:
        return
    if start_ticks(pid) not in (message["start_ticks"], None):
        situation.warn(child, f"pid {pid} is not the process that said hello", "wrong_process")
        return
    child.enter(State.BOOTING, situation.clock.now())
    if child.draining_for:
        ending.drain(situation, child, child.draining_for)


def _booted(situation: Situation, child: Child, message: Message) -> None:
    now = situation.clock.now()
    child.booted_at = child.counter_moved_at = now
    if message.get("tasks") is not None and not situation.was_ready and child.slot == 1:
        announce_tasks(message["tasks"])
    if child.state is State.BOOTING:
        child.enter(State.IDLE, now)
    if not situation.was_ready and not situation.error_text:
        _refuse_a_limit_below_a_fresh_worker(situation, child)
    retirement.has_booted(situation, child)


def _refuse_a_limit_below_a_fresh_worker(situation: Situation, child: Child) -> None:
    """End a start whose memory limit every worker would have passed before its first task."""
    limit = situation.options.max_memory
    used = unshared_bytes(child.pid) if limit is not None and child.pid else None
    if limit is not None and used is not None and used > limit:
        text = f"a fresh worker uses {used // 2**20} MB, more than --max-memory ({limit // 2**20} MB) allows"
        logger.error(text, extra={"event": "limit_refused"})
        situation.error_text, situation.error_code = text, EXIT_CONFIGURATION


def attach(situation: Situation, child: Child, pid: int, pidfd: int | None) -> None:
    """Take hold of a worker's process, by the pidfd of the zygote or one of our own."""
    try:
        child.process = Process(pid, pidfd)
    except ProcessLookupError:
        exits.conclude(situation, child, situation.strays_reaped.pop(pid, Exit()))
        return
    situation.loop.watch(
        child.process, Rank.EXIT, partial(_has_ended, situation, child), partial(exits.discard, situation, child)
    )


def _has_ended(situation: Situation, child: Child) -> None:
    """Hear a worker's last words, then see to its end."""
    hear_worker(situation, child)
    if child.is_alive:
        exits.has_ended(situation, child)


def hear_zygote(situation: Situation, message: Message, descriptors: list[int]) -> None:
    """Act on one message of the zygote."""
    kind, child = message["kind"], situation.slots.find(message.get("worker", ""))
    if kind == "forked" and child is not None and child.process is None and len(descriptors) == 1:
        attach(situation, child, message["pid"], descriptors[0])
        return
    channel.close_all(descriptors)
    if kind == "ready":
        situation.zygote.became_ready()
        if message.get("tasks") is not None and not situation.was_ready:
            announce_tasks(message["tasks"])
        _hand_over_workers(situation)
    elif kind == "fork_failed" and child is not None and child.process is None:
        exits.vanished(situation, child, f"fork: {message['error']}")
    elif kind == "unsafe":
        found = ", ".join(message["found"])
        logger.warning("preloading this application is not safe (%s): every worker imports it by itself", found)
        situation.preload = False
        situation.zygote.expect_replacement()
    elif kind == "error":
        logger.error("the application cannot be loaded:\n%s", message["text"], extra={"event": "application_failed"})
        _application_failed(situation, message)


def _application_failed(situation: Situation, message: Message) -> None:
    """Before the first READY nothing but the end makes sense; later it is a failure of the slot."""
    if not situation.was_ready and not situation.error_text:
        situation.error_text, situation.error_code = str(message["text"]), int(message.get("code", 70))
        situation.zygote.is_wanted, situation.zygote.is_leaving = False, True


def _hand_over_workers(situation: Situation) -> None:
    """Give a new zygote the workers of the one before: it ends them should the supervisor die."""
    for child in situation.slots.children():
        if child.process is not None and child.is_alive:
            held = [child.process.pidfd, situation.board.descriptor]
            situation.zygote.send("adopt", held, pid=child.process.pid, page=child.page_index)


def announce_tasks(names: list[str]) -> None:
    """Tell people which tasks were found."""
    shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
    journal.announce("tasks", f"{len(names)} found: {shown}" if names else "none found")
