"""`pause [QUEUE…]`: let no task of these queues start, on any host."""

from __future__ import annotations

import getpass
import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from bgtasks.management.verbs import Answer, reading, text
from bgtasks.management.verbs.named_queues import EVERY_QUEUE, add_queues, understood
from bgtasks.output import one_line, table, terminal_width
from bgtasks.units import parse_duration

if TYPE_CHECKING:
    from datetime import datetime

    from bgtasks.models import Queue

SUMMARY = "Let no task of these queues start, on any host, until they are resumed."
EXAMPLES = """examples:
  bgtasksd pause mail --for 30m --reason "the mail server is down"
  bgtasksd pause 'report*' '!report-daily'
  bgtasksd pause                      every queue there is now

Running tasks finish. `bgtasksd status` shows what is paused, `bgtasksd resume` ends it.

exit codes: 0 paused, 1 there is no such queue, or no database; 2 usage"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_queues(parser, "pause")
    parser.add_argument(
        "--for", dest="for_", type=reading(parse_duration), metavar="TIME", help="end by itself after this time"
    )
    parser.add_argument("--reason", type=reading(text), default="", metavar="TEXT", help="why; shown with the pause")
    parser.add_argument("--new", action="store_true", help="a queue may be one that has had no task yet")


def run(given: Namespace) -> Answer:
    """Pause, and say for each queue who did it and until when. Raises NotDone."""
    from bgtasks import queues  # imports models
    from bgtasks.figures import pause_of

    asked = given.queues or [EVERY_QUEUE]
    with understood(fix="--new pauses a queue that has had no task yet"):
        rows = queues.pause(*asked, for_=given.for_, reason=given.reason, by=who(), new=given.new)
    shown = table([[row.name, _told(row)] for row in rows], width=terminal_width())
    if any("*" in pattern or "!" in pattern for pattern in asked):
        shown += "\na queue that gets its first task later is not paused"
    facts = [{"name": row.name, "paused": True, "pause": pause_of(row)} for row in rows]
    return Answer(shown, {"schema_version": 1, "queues": facts})


def who() -> str:
    """Return the name of the person at the terminal, also under sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _told(row: Queue) -> str:
    until = f"until {_clock(row.paused_until)}" if row.paused_until else "until it is resumed"
    reason = f": {one_line(row.pause_reason)}" if row.pause_reason else ""
    assert row.paused_at is not None
    return f"paused by {one_line(row.paused_by)} since {_clock(row.paused_at)}, {until}{reason}"


def _clock(at: datetime) -> str:
    from django.utils import timezone

    local, now = (timezone.localtime(at), timezone.localtime()) if timezone.is_aware(at) else (at, timezone.now())
    return local.strftime("%H:%M" if local.date() == now.date() else "%Y-%m-%d %H:%M")
