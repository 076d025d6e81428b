"""One daemon from its start to its end: the parts put together, the loop run until nothing is left."""

from __future__ import annotations

import faulthandler
import logging
import signal
from typing import Any

from bgtasksd.children.channel import Message
from bgtasksd.children.linux import become_subreaper, widen_signal_stack
from bgtasksd.options import Options
from bgtasksd.scoreboard import Board
from bgtasksd.supervisor import hearing, upkeep
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.deaths import Deaths
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.loop import Loop, LoopBroken
from bgtasksd.supervisor.memory import Memory
from bgtasksd.supervisor.notices import Notices, Notifier
from bgtasksd.supervisor.pacing import SpawnBudget
from bgtasksd.supervisor.runtime_dir import Lock, RuntimeDir
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slots
from bgtasksd.supervisor.spawning import Spawning
from bgtasksd.supervisor.stopping import Haste, Stopping
from bgtasksd.supervisor.strays import Strays
from bgtasksd.supervisor.viewing import Viewing
from bgtasksd.supervisor.wake_socket import WakeSocket
from bgtasksd.supervisor.waking import Waking
from bgtasksd.supervisor.watching import Watching

ZYGOTE, MAINTENANCE = "bgtasksd.zygote.serving:serve", "bgtasksd.maintenance:serve"
LONGEST_BACKOFF = 5.0
EXIT_SOFTWARE = 70
SILENCE = 60.0
"""Seconds without a turn after which maintenance is ended; its statements are bounded by less."""

logger = logging.getLogger("bgtasksd.supervisor")


class Supervisor:
    """Keeps the wanted number of workers alive until told to stop, and says how it ended."""

    def __init__(self, options: Options, lock: Lock, control: Any, notifier: Notifier) -> None:
        self.options = options
        self.lock = lock
        self.control = control
        self.notifier = notifier
        self.situation = situation = make_situation(options)
        self.stopping = Stopping(situation)
        self.waking = Waking(situation, WakeSocket(options.runtime_dir))
        self.runtime_dir = RuntimeDir(situation.clock, lock, control, options.version, self.waking)
        self.viewing = Viewing(situation, self.runtime_dir)
        self.strays = Strays(situation)
        self.watching = Watching(situation)
        situation.loop.duties += [
            self.watching,
            Spawning(situation),
            self.strays,
            situation.maintenance,
            situation.zygote,
            situation.deaths,
            Memory(situation),
            self.waking,
            self.runtime_dir,
            self.viewing,
            self.stopping,
            Notices(situation, notifier),
        ]
        self._introduce()

    @property
    def error_text(self) -> str:
        """Why the daemon could not start."""
        return self.situation.error_text

    def run(self) -> int:
        """Supervise until told to stop; return the exit code."""
        self.start()
        try:
            while not self.stopping.is_over:
                self.situation.loop.turn()
                self.situation.loop.guard(self.control.disconnect_stuck)
        except LoopBroken:
            logger.critical("the supervisor gives up", exc_info=True)
            return EXIT_SOFTWARE
        self.strays.end_all()
        self.control.conclude({"given_back": self.situation.given_back})
        self.control.close()
        self.waking.close()
        logger.info("stopped", extra={"event": "stopped"})
        return self.stopping.exit_code

    def start(self) -> None:
        """Take the steps between the lock and the first turn; signals are blocked meanwhile."""
        loop = self.situation.loop
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        loop.hear_signals()
        faulthandler.enable()
        widen_signal_stack()
        become_subreaper()
        self.lock.write_pid_file(self.options.version)
        self.control.commands.update(status=self.viewing.status, stop=self.on_stop)
        self.control.open()
        self.control.register(loop.selector)
        self._open_wake_socket()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.situation.deaths.replay()

    def _open_wake_socket(self) -> None:
        """Let enqueuing processes wake us; without that polling has to do."""
        try:
            if self.options.wake:
                self.waking.open()
        except OSError as error:
            logger.warning("no wake socket at %s: %s", self.waking.socket.path, error.strerror)

    def _introduce(self) -> None:
        """Tell the parts of each other."""
        situation = self.situation
        situation.loop.on_signals = self.on_signals
        situation.loop.on_gap = self.on_gap
        interval = getattr(self.notifier, "watchdog_interval", None)
        situation.loop.longest_wait = min(situation.loop.longest_wait, interval or 1.0)
        situation.deaths.on_report = lambda death: situation.maintenance.send("death", **death)
        for link in (situation.zygote, situation.maintenance):
            link.boot_timeout = self.options.boot_timeout
        situation.zygote.inherited = lambda: [*self.descriptors(), situation.board.descriptor]
        situation.maintenance.inherited = self.descriptors
        situation.zygote.arguments = lambda: {"options": self.options, "preload": situation.preload}
        situation.maintenance.arguments = lambda: {"options": self.options, "board": situation.board.descriptor}
        situation.zygote.on_message = lambda message, held: hearing.hear_zygote(situation, message, held)
        situation.maintenance.on_message = self.hear_maintenance
        situation.maintenance.longest_silence = SILENCE

    def hear_maintenance(self, message: Message, held: list[int]) -> None:
        """Act on one message of maintenance."""
        upkeep.hear_maintenance(self.situation, self.waking, message, held)

    def descriptors(self) -> list[int]:
        """Return what zygote and maintenance close: everything of ours but the scoreboard."""
        situation = self.situation
        found = [*situation.loop.descriptors(), self.lock.fileno()]
        found += [each.fileno() for each in self.control.sockets]
        found += self.waking.descriptors()
        found += situation.zygote.descriptors() + situation.maintenance.descriptors()
        notifier = getattr(self.notifier, "fileno", lambda: None)()
        found += [] if notifier is None else [notifier]
        for child in situation.slots.children():
            found += [child.channel.fileno(), child.dump]
            found += [child.process.fileno()] if child.process else []
        return found

    def on_signals(self, numbers: set[int]) -> None:
        """Act on the signals that have come; a stop wins over everything else."""
        if signal.SIGCHLD in numbers:
            self.strays.reap()
        if signal.SIGQUIT in numbers:
            self.stopping.begin(Haste.FAST)
        elif numbers & {signal.SIGTERM, signal.SIGINT}:
            self.stopping.again()

    def on_stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer the control command `stop`."""
        answer = {
            "workers": len(self.situation.slots.children()),
            "running": self.stopping.running(),
            "drain_timeout": self.options.drain_timeout,
        }
        self.stopping.begin(Haste.FAST if request.get("now") else Haste.FINISH)
        return answer

    def on_gap(self, seconds: float) -> None:
        """Say that we did not run for a while."""
        logger.warning("did not run for %.1f s: every deadline moves by that", seconds, extra={"event": "gap"})
        self.watching.note_all()


def make_situation(options: Options) -> Situation:
    """Return a daemon in which nothing has happened yet."""
    clock = Clock()
    loop = Loop(clock)
    return Situation(
        options=options,
        clock=clock,
        loop=loop,
        board=Board(2 * options.workers + 2),
        slots=Slots.of(options.queues_by_slot()),
        budget=SpawnBudget(max(2 * options.workers, 10)),
        deaths=Deaths(options.runtime_dir, clock),
        zygote=Link("zygote", ZYGOTE, loop, clock, LONGEST_BACKOFF),
        maintenance=Link("maintenance", MAINTENANCE, loop, clock, LONGEST_BACKOFF),
        started_at=clock.now(),
        preload=options.preload == "auto",
    )
