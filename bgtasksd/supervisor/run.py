"""One daemon from its start to its end: the parts put together, the loop run until nothing is left."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import signal
from functools import partial

from bgtasksd import journal
from bgtasksd.children.counts import stop_counting
from bgtasksd.children.linux import become_subreaper, widen_signal_stack
from bgtasksd.control import Servers
from bgtasksd.directory import STATUS_NAME, WAKE_NAME
from bgtasksd.exit_codes import EXIT_SOFTWARE
from bgtasksd.options import Options
from bgtasksd.supervisor import wiring
from bgtasksd.supervisor.breaker import Breaker
from bgtasksd.supervisor.changes import Changes
from bgtasksd.supervisor.commands import Commands
from bgtasksd.supervisor.draining import Draining
from bgtasksd.supervisor.generations import Generations
from bgtasksd.supervisor.handover import State
from bgtasksd.supervisor.journaling import Journaling
from bgtasksd.supervisor.loop import Duty, LoopBroken
from bgtasksd.supervisor.making import make_situation
from bgtasksd.supervisor.memory import Memory
from bgtasksd.supervisor.notices import Notices, Notifier
from bgtasksd.supervisor.reloading import Reloading
from bgtasksd.supervisor.replacing import Replacing
from bgtasksd.supervisor.runtime_dir import Lock, RuntimeDir
from bgtasksd.supervisor.scaling import Scaling
from bgtasksd.supervisor.spawning import Spawning
from bgtasksd.supervisor.stacks import Stacks
from bgtasksd.supervisor.stopping import Haste, Stopping
from bgtasksd.supervisor.strays import Strays
from bgtasksd.supervisor.unpacking import unpack
from bgtasksd.supervisor.upgrading import Upgrading
from bgtasksd.supervisor.viewing import Viewing
from bgtasksd.supervisor.wake_socket import WakeSocket
from bgtasksd.supervisor.waking import Waking
from bgtasksd.supervisor.watching import Watching

logger = logging.getLogger("bgtasksd.supervisor")


class Supervisor:
    """Keeps the wanted number of workers alive until told to stop, and says how it ended."""

    def __init__(self, options: Options, lock: Lock, notifier: Notifier) -> None:
        self.options = options
        self.lock = lock
        self.notifier = notifier
        self.servers = Servers(options)
        self.situation = make_situation(options)
        self.changes = Changes(self.servers.tell)
        self._make_parts()
        self.situation.loop.duties += self._duties()
        self.situation.loop.timers += [self.waking, Memory(self.situation)]
        wiring.introduce(self)

    def _make_parts(self) -> None:
        situation, options, servers = self.situation, self.options, self.servers
        self.following = self.changes.begin("events")
        self.stacks, self.journaling = Stacks(situation), Journaling(situation)
        self.stopping = Stopping(situation, self.changes.begin("stop"))
        self.waking = Waking(situation, WakeSocket(options.runtime_dir))
        others = {WAKE_NAME: self.waking} | ({STATUS_NAME: servers.questions} if servers.questions else {})
        self.runtime_dir = RuntimeDir(situation.clock, self.lock, servers.control, options.version, others)
        self.viewing = Viewing(situation, self.runtime_dir)
        self.strays, self.watching = Strays(situation), Watching(situation)
        self.scaling = Scaling(situation, self.changes)
        self.draining = Draining(situation, self.stopping, self.changes)
        self.replacing = Replacing(situation, self.changes)
        self.generations = Generations(situation, self.waking, partial(wiring.descriptors, self))
        self.reloading = Reloading(situation, self.generations, self.changes, self.notifier)
        self.upgrading = Upgrading(self, partial(wiring.descriptors, self))

    def _duties(self) -> list[Duty]:
        """Return what is done at the end of a turn, in its order."""
        situation = self.situation
        return [
            self.watching,
            self.scaling,
            self.reloading,
            self.upgrading,
            Spawning(situation),
            self.strays,
            self.generations,
            situation.deaths,
            self.stacks,
            self.servers,
            self.runtime_dir,
            self.viewing,
            self.replacing,
            self.draining,
            self.stopping,
            Breaker(situation),
            Notices(situation, self.notifier),
        ]

    @property
    def error_text(self) -> str:
        """Why the daemon could not start."""
        return self.situation.error_text

    def run(self, state: State | None = None) -> int:
        """Supervise until told to stop; return the exit code. With a state go on from there."""
        if state is None:
            self.start()
        else:
            self.resume(state)
        stop_counting()  # what our children use of ours stays shared: 4 MB. Only now: what was replaced had to be freed
        try:
            while not self.stopping.is_over:
                self.situation.loop.turn()
        except LoopBroken:
            logger.critical("the supervisor gives up", exc_info=True)
            return EXIT_SOFTWARE
        self.strays.end_all()
        self.stopping.change.done(given_back=self.situation.given_back)
        logger.info("stopped", extra={"event": "stopped"})  # while those who follow the events still hear it
        self.servers.close()
        self.waking.close()
        return self.stopping.exit_code

    def start(self) -> None:
        """Take the steps between the lock and the first turn; signals are blocked meanwhile."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self.strays.spare_those_before_us()
        self._take_hold()
        self.servers.open(self.situation.loop.selector)
        self._open_wake_socket()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.situation.deaths.replay()

    def resume(self, state: State) -> None:
        """Go on where the program before this one was; the signals that have come since are waiting."""
        self._take_hold()
        unpack(self, state)
        signal.pthread_sigmask(signal.SIG_SETMASK, state["mask"])
        self.strays.reap()
        versions = state["version_before"], self.options.version
        logger.info("upgraded: version %s goes on as %s", *versions, extra={"event": "upgraded"})
        if state["reload"] is not None:
            self.reloading.waiting = self.changes.resume(state["reload"], "reload")
        self.reloading.order()
        self.reloading.is_owed = True
        self.changes.resume(state["upgrade"], "upgrade").done(version_before=versions[0], version=versions[1])

    def _take_hold(self) -> None:
        """Take hold of this process: its signals, its children, its name in the pid file, its commands."""
        journal.also_to(self.situation.events)
        self.situation.loop.hear_signals()
        faulthandler.enable()
        widen_signal_stack()
        become_subreaper()
        with contextlib.suppress(OSError):  # it is for people: the look at the directory says so, and tries again
            self.lock.write_pid_file(self.options.version)
        self.servers.serve(Commands(self).table())

    def _open_wake_socket(self) -> None:
        """Let enqueuing processes wake us; without that polling has to do."""
        try:
            if self.options.wake:
                self.waking.open()
        except OSError as error:
            logger.warning("no wake socket at %s: %s", self.waking.socket.path, error.strerror)

    def on_signals(self, numbers: set[int]) -> None:
        """Act on the signals that have come; a stop wins over everything else."""
        if signal.SIGCHLD in numbers:
            self.strays.reap()
        if signal.SIGQUIT in numbers:
            self.stopping.begin(Haste.FAST)
        elif numbers & {signal.SIGTERM, signal.SIGINT}:
            self.stopping.again()
        if signal.SIGUSR1 in numbers:
            self.journaling.reopen()
        if signal.SIGHUP in numbers and not self.situation.is_stopping:
            self.reloading.order()
        if signal.SIGUSR2 in numbers and not self.situation.is_stopping:
            self.upgrading.order()
        self.scaling.step((signal.SIGTTIN in numbers) - (signal.SIGTTOU in numbers))

    def on_gap(self, seconds: float) -> None:
        """Say that we did not run for a while."""
        logger.warning("did not run for %.1f s: every deadline moves by that", seconds, extra={"event": "gap"})
        self.watching.note_all()
