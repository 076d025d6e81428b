"""The zygote: loads the application once, forks workers when told to, and is the dead man's switch of the workers."""

from __future__ import annotations

import os
import selectors
import signal
from typing import Any

from bgtasksd import journal
from bgtasksd.children import channel
from bgtasksd.children.adoption import fork_away
from bgtasksd.children.channel import Channel, ChannelClosed, Message
from bgtasksd.children.fork import Mask, answer_nothing
from bgtasksd.children.linux import die_with_parent
from bgtasksd.options import Options
from bgtasksd.scoreboard import Page, open_pages
from bgtasksd.zygote import application
from bgtasksd.zygote.birth import Birth
from bgtasksd.zygote.life import live
from bgtasksd.zygote.orphans import Orphans

UNANSWERED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
"""The zygote leaves by order or when the supervisor is gone, never by a signal meant for a whole group."""


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
        loaded = application.load(options.root) if preload else None
    except BaseException as error:  # noqa: BLE001 - also a SystemExit in somebody's settings
        line.send("error", **application.failure(error))
        return 70
    unsafe = application.unsafe_to_fork() if preload else []
    if unsafe:
        line.send("unsafe", found=unsafe)
        return 0
    application.keep_shared()
    die_with_parent(None)
    if os.getppid() != supervisor:
        return 70
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

    def run(self) -> int:
        """Act on messages; on the supervisor's death end the workers that outlive it."""
        while True:
            for key, _mask in self.selector.select():
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
        elif message["kind"] == "adopt" and len(descriptors) == 2:
            pidfd, board = descriptors
            self.orphans.watch(message["pid"], pidfd, self.page(board, message["page"]))
            os.close(board)
        elif message["kind"] == "exit":
            return False
        else:
            channel.close_all(descriptors)
        return True

    def page(self, board: int, index: int) -> Page:
        """Return a page of the scoreboard, mapped when it first came along."""
        if index >= len(self.pages):
            self.pages = open_pages(board)
        return self.pages[index]

    def fork_worker(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Fork one worker for the supervisor and tell it the pid, or the error."""
        _end, board, _dump = descriptors
        birth = Birth(
            slot=message["slot"],
            generation=message["generation"],
            worker=message["worker"],
            page=message["page"],
            queues=None if message["queues"] is None else tuple(message["queues"]),
            supervisor=self.supervisor,
            descriptors=descriptors,
            closing=(self.line.fileno(), self.selector.fileno(), *self.orphans.descriptors()),
        )
        try:
            process = fork_away(lambda mask: live(birth, self.options, mask, loaded=self.preloaded))
        except OSError as error:
            self.line.send("fork_failed", worker=birth.worker, error=error.strerror)
        else:
            self.line.send("forked", [process.pidfd], worker=birth.worker, pid=process.pid)
            self.orphans.watch(process.pid, process.pidfd, self.page(board, birth.page))
        finally:
            channel.close_all(descriptors)
