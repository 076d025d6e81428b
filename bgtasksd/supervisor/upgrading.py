"""An upgrade: the daemon's own new code, by an exec in place. Same process, same children; a reload follows."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bgtasksd.children.fork import flush, why
from bgtasksd.exit_codes import EXIT_SOFTWARE
from bgtasksd.supervisor import handover, packing
from bgtasksd.supervisor.changes import LONGEST_REASON, STOPPING, Change
from bgtasksd.supervisor.errand import Errand

if TYPE_CHECKING:
    from bgtasksd.supervisor.run import Supervisor

CHECK_TIMEOUT = 60.0

logger = logging.getLogger("bgtasksd.supervisor")


@dataclass(frozen=True, slots=True)
class Program:
    """What was started, to be started again."""

    file: str = ""
    arguments: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    directory: str = "."

    def become(self, handed: str) -> None:
        """Become this program; raises OSError, or does not return."""
        here = os.getcwd()  # noqa: PTH109 - a string is wanted
        try:
            os.chdir(self.directory)
            environ = {**self.environ, handover.VARIABLE: handed}
            os.execve(self.file, list(self.arguments), environ)  # noqa: S606 - it is us
        finally:
            os.chdir(here)


class Upgrading:
    """One at a time, between reloads; any number of orders are one."""

    def __init__(self, supervisor: Supervisor, descriptors: Callable[[], list[int]]) -> None:
        self.supervisor = supervisor
        self.situation = supervisor.situation
        self.descriptors = descriptors
        self.program = Program()
        self.change: Change | None = None
        self.errand: Errand | None = None
        """Finds out whether the new program can be executed, and reads what we leave to it."""

    def order(self) -> Change:
        """Order an upgrade; it waits for a reload that is under way, and takes the next one's place."""
        if self.change is None:
            self.change = self.supervisor.changes.begin("upgrade")
            self.situation.is_upgrading = True
        return self.change

    def next_at(self) -> float | None:
        """Return None: every step is an event."""

    def run(self) -> None:
        """Take the next step, if one was ordered."""
        if self.change is None:
            return
        if self.situation.is_stopping:
            self._fail(STOPPING)
        elif self.errand is None:
            if self._is_quiet():
                self._check()
        elif self.errand.exit is not None:
            self._after(self.errand)

    def _is_quiet(self) -> bool:
        """Tell whether there is nothing that could not be handed over."""
        situation, supervisor = self.situation, self.supervisor
        followed = *supervisor.replacing.followed, *supervisor.scaling.followed
        others = [errand for errand in situation.errands if errand is not self.errand]
        under_way = situation.is_reloading or situation.beside or others or any(followed) or supervisor.stacks.asked
        return situation.was_ready and not under_way and not supervisor.reloading.is_owed

    def _check(self) -> None:
        logger.info("upgrade: checking the new program", extra={"event": "upgrading"})
        loop, clock = self.situation.loop, self.situation.clock
        try:
            self.errand = Errand(loop, clock, self._try, CHECK_TIMEOUT, self.descriptors())
        except OSError as error:
            self._fail(why(error))
        else:
            self.situation.errands.append(self.errand)

    def _try(self, output: int) -> int:
        """Be the child: become the new program, which says whether it could read what we would leave to it."""
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            self.program.become(f"check:{handover.VERSION}")
        except OSError as error:
            os.write(output, f"{self.program.file} cannot be executed: {why(error)}".encode())
        return EXIT_SOFTWARE

    def _after(self, errand: Errand) -> None:
        if not errand.has_succeeded:
            self._fail(errand.text.strip()[-LONGEST_REASON:] or f"the new program ended with {errand.exit}")
        elif self._is_quiet():
            self._become()

    def _become(self) -> None:
        """Become the new program. Signals that come meanwhile wait for it; those that have come are heard first."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self.situation.loop.read_signals()
            if not self.situation.is_stopping:
                self._hand_over(mask)
        except (OSError, TypeError, ValueError) as error:
            self._fail(f"{self.program.file} cannot be executed: {error}")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _hand_over(self, mask: set[Any]) -> None:
        luggage = handover.Luggage()
        state = {**packing.pack(self.supervisor, luggage, mask), **self._orders()}
        descriptor = handover.write(state, luggage)
        luggage.take(descriptor)
        try:
            luggage.open_to_exec(is_open=True)
            flush()
            self.program.become(str(descriptor))
        finally:
            luggage.open_to_exec(is_open=False)
            os.close(descriptor)

    def _orders(self) -> handover.State:
        """Return the numbers of the changes that the next program has to finish."""
        assert self.change is not None
        reload = self.supervisor.reloading.waiting
        return {
            "upgrade": self.change.number,
            "reload": None if reload is None else reload.number,
            "directory": self.program.directory,
            "version_before": self.situation.options.version,
        }

    def _fail(self, reason: str) -> None:
        """Go on as before."""
        assert self.change is not None
        change, self.change = self.change, None
        if self.errand is not None:
            self.errand.kill()
            self.errand = None
        self.situation.is_upgrading = False
        text = "upgrade failed, version %s goes on: %s"
        logger.error(text, self.situation.options.version, reason, extra={"event": "upgrade_failed"})
        change.failed(reason)
