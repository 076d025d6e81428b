"""The zygote: loads the application once, forks workers when told to, and is the dead man's switch of the workers."""

from __future__ import annotations

import os
import selectors
import signal
from importlib import import_module
from typing import Any

from bgtasksd import journal
from bgtasksd.children import channel
from bgtasksd.children.adoption import fork_away
from bgtasksd.children.channel import Channel, ChannelClosed, Message
from bgtasksd.children.fork import Mask, answer_nothing, fork, why
from bgtasksd.children.linux import die_with_parent
from bgtasksd.children.process import Process
from bgtasksd.exit_codes import EXIT_SOFTWARE
from bgtasksd.options import Options
from bgtasksd.scoreboard import Page, Places, open_pages
from bgtasksd.zygote import application, preflight
from bgtasksd.zygote.birth import Birth
from bgtasksd.zygote.life import live
from bgtasksd.zygote.orphans import Orphans

UNANSWERED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
"""The zygote leaves by order or when the supervisor is gone, never by a signal meant for a whole group."""
MAINTENANCE = "bgtasksd.maintenance.serving"
"""By name: no arrow leads there."""


def serve(line: Channel, *, options: Options, mask: Mask, dump: int, preload: bool) -> int:
    """Live as the zygote, from the fork to the end."""
    supervisor = os.getppid()
    die_with_parent(signal.SIGKILL)
    answer_nothing(UNANSWERED)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    # only now, and not in the supervisor: it costs memory there
    import faulthandler

    faulthandler.register(signal.SIGUSR2, file=dump, all_threads=True)
    journal.continue_in_child()
    try:
        loaded = application.load_to_share(options.root) if preload else None
    except BaseException as error:  # noqa: BLE001 - also a SystemExit in somebody's settings
        line.send("error", **application.failure(error))
        return EXIT_SOFTWARE
    unsafe = application.unsafe_to_fork() if preload else []
    if unsafe:
        line.send("unsafe", found=unsafe)
        return 0
    application.keep_shared()
    die_with_parent(None)
    if os.getppid() != supervisor:
        return EXIT_SOFTWARE
    line.send("ready", tasks=list(loaded.tasks)[:1000] if loaded else None)
    return Zygote(line, options, supervisor, preloaded=preload).run()


class Zygote:
    """Serves the supervisor's requests until it says `exit`, or is gone."""

    def __init__(self, line: Channel, options: Options, supervisor: int, *, preloaded: bool) -> None:
        self.line = line
        self.options = options
        self.supervisor = supervisor
        self.preloaded = preloaded
        self.pages: list[Page] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(line, selectors.EVENT_READ)
        self.orphans = Orphans(self.selector, options.orphan_timeout)
        self.preflight: Process | None = None

    def run(self) -> int:
        """Act on messages; on the supervisor's death end the workers that outlive it."""
        while True:
            for key, _mask in self.selector.select():
                if key.fileobj is self.preflight:
                    self.end_preflight()
                    continue
                if key.fileobj is not self.line:
                    self.orphans.forget(key.fd)
                    continue
                try:
                    if not self.act_on(self.line.receive()):
                        return 0
                except ChannelClosed:
                    self.selector.unregister(self.line)
                    self.orphans.end()
                    return 0

    def act_on(self, received: tuple[Message, list[int]] | None) -> bool:
        """Do what one message asks for; False for `exit`."""
        if received is None:
            return True
        message, descriptors = received
        if message["kind"] == "fork" and len(descriptors) == 3:
            self.fork_worker(message, descriptors)
        elif message["kind"] == "fork_maintenance" and len(descriptors) == 3:
            self.fork_maintenance(message["number"], descriptors)
        elif message["kind"] == "adopt" and len(descriptors) == 2:
            pidfd, board = descriptors
            self.orphans.watch(message["pid"], pidfd, self.page(board, message))
            os.close(board)
        elif message["kind"] == "preflight":
            self.begin_preflight()
        elif message["kind"] == "exit":
            return False
        elif not journal.obeys(message):
            channel.close_all(descriptors)
        return True

    def begin_preflight(self) -> None:
        """Have a throw-away child find out whether workers of this generation could work: it may open a connection."""
        pid = fork(lambda mask: preflight.report(self.line, self.options, mask, loaded=self.preloaded))
        self.preflight = Process(pid)
        self.selector.register(self.preflight, selectors.EVENT_READ)

    def end_preflight(self) -> None:
        """Reap that child, and say so if it has not lived to answer."""
        assert self.preflight is not None
        exit_ = self.preflight.reap()
        self.selector.unregister(self.preflight)
        self.preflight.close()
        self.preflight = None
        if exit_ is not None and exit_.code != 0:
            self.line.send("preflight", problems=[f"the check ended before its answer: {exit_}"])

    def page(self, board: int, message: Message) -> Page:
        """Return a worker's page of the scoreboard, mapped when it first came along, and with it its places."""
        index, places = message["page"], message["places"]
        if max(index, *places, 0) >= len(self.pages):
            self.pages += open_pages(board, len(self.pages))
        page = self.pages[index]
        page.places = Places([self.pages[at] for at in places], message["concurrency"]) if places else None
        return page

    def fork_worker(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Fork one worker for the supervisor and tell it the pid, or the error."""
        _end, board, _dump = descriptors
        birth = Birth(
            slot=message["slot"],
            generation=message["generation"],
            worker=message["worker"],
            page=message["page"],
            places=tuple(message["places"]),
            concurrency=message["concurrency"],
            queues=None if message["queues"] is None else tuple(message["queues"]),
            workers=message["workers"],
            sharers=message["sharers"],
            supervisor=self.supervisor,
            descriptors=descriptors,
            closing=self.descriptors(),
        )
        try:
            process = fork_away(lambda mask: live(birth, self.options, mask, loaded=self.preloaded))
        except OSError as error:
            self.line.send("fork_failed", worker=birth.worker, error=why(error))
        else:
            self.line.send("forked", [process.pidfd], worker=birth.worker, pid=process.pid)
            self.orphans.watch(process.pid, process.pidfd, self.page(board, message))
        finally:
            channel.close_all(descriptors)

    def fork_maintenance(self, number: int, descriptors: list[int]) -> None:
        """Fork a maintenance process for the supervisor; it shares what is loaded here, and leaves by itself."""
        try:
            process = fork_away(lambda mask: self.be_maintenance(descriptors, mask))
        except OSError as error:
            self.line.send("maintenance_not_forked", number=number, error=why(error))
        else:
            self.line.send("maintenance_forked", [process.pidfd], number=number, pid=process.pid)
            process.close()
        finally:
            channel.close_all(descriptors)

    def be_maintenance(self, descriptors: list[int], mask: Mask) -> int:
        """Be that process."""
        channel.close_all(self.descriptors())
        end, board, dump = descriptors
        line = channel.from_descriptor(end)
        serve = import_module(MAINTENANCE).serve_loaded
        code: int = serve(line, options=self.options, mask=mask, dump=dump, board=board, supervisor=self.supervisor)
        return code

    def descriptors(self) -> list[int]:
        """Return what is the zygote's, for those it forks to close."""
        return [self.line.fileno(), self.selector.fileno(), *self.orphans.descriptors()]
