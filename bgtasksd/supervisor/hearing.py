"""What workers say on their line: hello, booted, more, free, limit, bye, error."""

from __future__ import annotations

import logging
from functools import partial

from bgtasksd import journal
from bgtasksd.children import channel
from bgtasksd.children.channel import ChannelClosed, Message
from bgtasksd.children.exits import Exit
from bgtasksd.children.fork import why
from bgtasksd.children.process import Process, start_ticks, unshared_bytes
from bgtasksd.exit_codes import EXIT_CONFIGURATION, EXIT_SOFTWARE
from bgtasksd.supervisor import ending, exits, retirement
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.loop import NOTHING_NEW, Rank
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import State

logger = logging.getLogger("bgtasksd.supervisor")


def hear_worker(situation: Situation, child: Child) -> object:
    """Act on every message that waits on a worker's line; nothing is new if they speak of the queue alone."""
    found: object = NOTHING_NEW
    while child.is_alive:
        try:
            received = child.channel.receive()
        except ChannelClosed:
            situation.loop.forget(child.channel)
            if child.process is None:
                exits.vanished(situation, child, "ended before its hello")
            return None
        if received is None:
            return found
        message, descriptors = received
        channel.close_all(descriptors)
        if not _spoke_of_the_queue(situation, child, message):
            found = None
            act_on(situation, child, message)
    return None


def _spoke_of_the_queue(situation: Situation, child: Child, message: Message) -> bool:
    """Act on a message after which nothing is new here; tell whether it is one."""
    if message["kind"] == "more":
        situation.on_more(child)
    elif message["kind"] == "free":
        situation.on_free()
    elif message["kind"] == "executions":
        situation.executions.merge(message)
    else:
        return False
    return True


def act_on(situation: Situation, child: Child, message: Message) -> None:
    """Act on one message of a worker."""
    kind = message["kind"]
    if kind == "hello" and child.state is State.SPAWNING:
        _hello(situation, child, message)
    elif kind == "booted" and child.state in (State.BOOTING, State.DRAINING):
        _booted(situation, child, message)
    elif kind == "limit":
        retirement.ask(situation, child, str(message.get("reason")))
    elif kind in ("bye", "error"):
        _last_words(situation, child, message)
    elif kind != "resting":  # that it rests under a hold: `scaling` and `draining` see it at the end of this turn
        retirement.ask(situation, child, "damaged")


def _last_words(situation: Situation, child: Child, message: Message) -> None:
    if message["kind"] == "bye":
        child.bye = str(message.get("reason"))
        return
    child.error = str(message.get("text"))
    if not child.has_booted:
        application_failed(situation, message)


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
    situation.note(child, f"pid {child.pid} up after {now - child.spawned_at:.2f} s", "booted")
    if message.get("tasks") is not None and not situation.was_ready and child.slot == 1:
        announce_tasks(message["tasks"])
    if child.state is State.BOOTING:
        child.enter(State.IDLE, now)
    if not situation.was_ready and not situation.error_text:
        _refuse_a_limit_below_a_fresh_worker(situation, child)
    situation.on_free()  # it knows of no wait for its rest
    retirement.has_booted(situation, child)


def _refuse_a_limit_below_a_fresh_worker(situation: Situation, child: Child) -> None:
    """End a start whose memory limit every worker would have passed before its first task."""
    options = situation.options
    limits = {"--max-memory": options.max_memory, "--max-memory-kill": options.max_memory_kill}
    given = {flag: limit for flag, limit in limits.items() if limit is not None}
    used = unshared_bytes(child.pid) if given and child.pid else None
    for flag, limit in given.items():
        if used is not None and used > limit:
            text = f"a fresh worker uses {used // 2**20} MB, more than {flag} ({limit // 2**20} MB) allows"
            logger.error(text, extra={"event": "limit_refused"})
            situation.error_text, situation.error_code = text, EXIT_CONFIGURATION
            return


def attach(situation: Situation, child: Child, pid: int, pidfd: int | None) -> None:
    """Take hold of a worker's process, by the pidfd of the zygote or one of our own."""
    try:
        child.process = Process(pid, pidfd)
    except ProcessLookupError:
        exits.conclude(situation, child, situation.strays_reaped.pop(pid, Exit()), pid=pid)
        return
    except OSError as error:
        exits.vanished(situation, child, f"pid {pid} cannot be held: {why(error)}")
        return
    situation.note(child, f"pid {pid} spawned", "spawned")
    situation.loop.watch(
        child.process, Rank.EXIT, partial(has_ended, situation, child), partial(exits.discard, situation, child)
    )


def has_ended(situation: Situation, child: Child) -> None:
    """Hear a worker's last words, then see to its end."""
    hear_worker(situation, child)
    if child.is_alive:
        exits.has_ended(situation, child)


def application_failed(situation: Situation, message: Message) -> None:
    """Before the first READY nothing but the end makes sense; later it is a failure of the slot."""
    if not situation.was_ready and not situation.error_text:
        situation.error_text, situation.error_code = str(message["text"]), int(message.get("code", EXIT_SOFTWARE))
        situation.zygote.is_wanted, situation.zygote.is_leaving = False, True


def announce_tasks(names: list[str]) -> None:
    """Tell people which tasks were found."""
    shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
    journal.announce("tasks", f"{len(names)} found: {shown}" if names else "none found")
