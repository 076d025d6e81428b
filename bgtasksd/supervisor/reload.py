"""The steps of one reload: options read again, the new code loaded and checked, then one worker after the other."""

from __future__ import annotations

import enum
import logging

from bgtasksd.options import Options
from bgtasksd.reasons import shortened
from bgtasksd.supervisor import rereading
from bgtasksd.supervisor.changes import LONGEST_REASON, Change
from bgtasksd.supervisor.errand import Body, Errand
from bgtasksd.supervisor.generations import Generations
from bgtasksd.supervisor.link import ZYGOTE_GRACE, Link
from bgtasksd.supervisor.rereading import ReloadFailed
from bgtasksd.supervisor.rolling import Rolling, RollingFailed
from bgtasksd.supervisor.situation import Situation

logger = logging.getLogger("bgtasksd.supervisor")


class Stage(enum.StrEnum):
    """What a reload waits for."""

    BEGINNING = "beginning"
    READING = "reading the options"
    LOADING = "loading the application"
    CHECKING = "checking it"
    RELIEVING = "starting maintenance"
    ROLLING = "replacing the workers"
    ROLLING_BACK = "replacing those that were replaced"
    OVER = "over"


class Reload:
    """One reload, from the options to the last worker; what it has made and not put in charge ends with it."""

    def __init__(
        self, situation: Situation, generations: Generations, change: Change, reread: Body, database: str
    ) -> None:
        self.situation = situation
        self.generations = generations
        self.change = change
        self.reread = reread
        self.database = database
        self.started_at = situation.clock.now()
        self.deadline = 0.0
        self.failure = ""
        """Why it has failed."""
        self.facts: dict[str, object] = {}
        """What has come of it."""
        self.stage = Stage.BEGINNING
        self.steps = {
            Stage.BEGINNING: self._begin,
            Stage.READING: self._read,
            Stage.LOADING: self._load,
            Stage.CHECKING: self._check,
            Stage.RELIEVING: self._relieve,
            Stage.ROLLING: self._roll,
            Stage.ROLLING_BACK: self._roll_back,
            Stage.OVER: lambda: False,
        }

    errand: Errand | None = None
    """Reads the options."""
    options: Options
    zygote: Link | None = None
    """The new one."""
    maintenance: Link | None = None
    before: Link
    """The zygote that was in charge."""
    rolling: Rolling

    @property
    def is_over(self) -> bool:
        return self.stage is Stage.OVER

    def next_at(self) -> float | None:
        """Return when a check has taken too long; everything else is an event."""
        return self.deadline if self.stage is Stage.CHECKING else None

    def run(self) -> None:
        """Take every step that can be taken now."""
        while self._step():
            pass

    def give_up(self) -> None:
        """End what does not serve yet."""
        if self.errand is not None:
            self.errand.kill()
        for link in (self.zygote, self.maintenance):
            if link is not None:
                link.give_up()
        self.zygote = self.maintenance = None
        for slot in self.situation.slots:
            slot.is_rolling = False

    def conclude(self) -> None:
        """Tell whoever follows it what came of it."""
        if self.failure:
            self.change.failed(self.failure)
        else:
            self.change.done(**self.facts)

    def _step(self) -> bool:
        try:
            return self.steps[self.stage]()
        except (ReloadFailed, RollingFailed, OSError) as error:
            return self._fail(shortened(str(error).strip(), LONGEST_REASON))

    def _enter(self, stage: Stage) -> bool:
        self.stage = stage
        return True

    def _begin(self) -> bool:
        situation = self.situation
        timeout, closing = situation.options.boot_timeout, self.generations.descriptors()
        self.errand = Errand(situation.loop, situation.clock, self.reread, timeout, closing)
        situation.errands.append(self.errand)
        return self._enter(Stage.READING)

    def _read(self) -> bool:
        errand = self.errand
        if errand is None or errand.exit is None:
            return False
        if not errand.has_succeeded:
            raise ReloadFailed(errand.text or f"reading the options ended: {errand.exit}")
        self.options = rereading.taken(errand.text, self.situation.options, self.database)
        self.zygote = self.generations.start_zygote(self.options)
        self._say("options read")
        return self._enter(Stage.LOADING)

    def _load(self) -> bool:
        assert self.zygote is not None
        if "error" in self.zygote.told:
            raise ReloadFailed(f"the application cannot be loaded: {self.zygote.told['error']['text']}")
        _refuse_if_lost(self.zygote)
        if not self.zygote.is_ready:
            return False
        self._say("application loaded")
        self.zygote.send("preflight")
        self.deadline = self.situation.clock.now() + self.options.boot_timeout
        return self._enter(Stage.CHECKING)

    def _check(self) -> bool:
        assert self.zygote is not None
        told = self.zygote.told.get("preflight")
        if told is None:
            _refuse_if_lost(self.zygote)
            if self.situation.clock.now() >= self.deadline:
                raise ReloadFailed(f"the new code was not checked within {self.options.boot_timeout:g} s")
            return False
        if told["problems"]:
            raise ReloadFailed("\n".join(told["problems"]))
        self.maintenance = self.generations.start_maintenance(self.options, self.zygote)
        self._say("application checked")
        return self._enter(Stage.RELIEVING)

    def _relieve(self) -> bool:
        """Put the new generation in charge: from here every new worker is of it."""
        assert self.zygote is not None
        assert self.maintenance is not None
        if "error" in self.maintenance.told:
            raise ReloadFailed(f"maintenance cannot start: {self.maintenance.told['error']['text']}")
        _refuse_if_lost(self.maintenance)
        _refuse_if_lost(self.zygote)
        if not (self.maintenance.is_ready and self.zygote.is_ready):
            return False
        self.rolling = Rolling(self.situation, self._say)
        number = self.generations.next_number()
        self.before = self.generations.put_in_charge(self.zygote, number, self.options)
        self.generations.relieve_maintenance(self.maintenance)
        self.rolling.begin()
        self.maintenance = self.zygote = None
        return self._enter(Stage.ROLLING)

    def _roll(self) -> bool:
        if not self.rolling.advance():
            return False
        situation = self.situation
        self.before.end(ZYGOTE_GRACE)
        seconds = round(situation.clock.now() - self.started_at, 3)
        self.facts = {"generation": situation.generation, "workers": situation.slots.target, "seconds": seconds}
        logger.info("reloaded in %.1f s: generation %d", seconds, situation.generation, extra={"event": "reloaded"})
        return self._enter(Stage.OVER)

    def _say(self, text: str, **facts: object) -> None:
        logger.info("reload: %s", text, extra={"event": "reload_progress", **facts})
        self.change.say(text, **facts)

    def _fail(self, why: str) -> bool:
        if self.stage is Stage.ROLLING:
            return self._turn_back(why)
        self.failure = f"{self.failure}; then {why}" if self.failure else why
        return self._stay()

    def _turn_back(self, why: str) -> bool:
        """Put the generation before in charge again; workers that were replaced already are, once more."""
        self.failure = why
        self.rolling.clear()
        self.zygote = self.situation.zygote
        self.generations.put_in_charge(self.before, self.rolling.number_before, self.rolling.options_before)
        self.give_up()
        self._say(f"{why}; back to generation {self.situation.generation}")
        self.rolling = Rolling(self.situation, self._say)
        self.rolling.begin()
        return self._enter(Stage.ROLLING_BACK)

    def _roll_back(self) -> bool:
        return self.rolling.advance() and self._stay()

    def _stay(self) -> bool:
        """Let the generation in charge go on."""
        self.give_up()
        text = "reload failed, generation %d goes on: %s"
        logger.error(text, self.situation.generation, self.failure, extra={"event": "reload_failed"})
        return self._enter(Stage.OVER)


def _refuse_if_lost(link: Link) -> None:
    if link.is_gone and link.backoff.failures:
        raise ReloadFailed(f"the new {link.name} ended before it was up; the log says how")
