"""The manual page bgtasksd(8), made from the parser. `install-systemd` writes it, `make man` builds it."""

from __future__ import annotations

import argparse
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping

from bgtasks import __version__

HEAD = r""".\" made from the parser of bgtasksd: do not edit
.TH BGTASKSD 8 "" "bgtasksd {version}" "System administration"
.nh
.SH NAME
bgtasksd \- keep the workers of a Django project's background tasks alive
.SH SYNOPSIS
.B bgtasksd
.RI [ options ]
.I VERB
.RI [ options ]
.SH DESCRIPTION
.B bgtasksd
runs the tasks that a Django project has stored with
.BR bgtasks .
It is one supervisor and its children: the maintenance of the queue, a process that has the project loaded,
and the workers.
Without a verb it prints the status of a daemon that runs, else a short help."""
TAIL = r""".SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
Drain: running tasks finish for up to
.BR \-\-drain\-timeout ,
then they are interrupted, then killed. A second one interrupts at once.
.TP
.B SIGQUIT
Interrupt at once.
.TP
.B SIGHUP
.BR "bgtasksd reload" .
.TP
.B SIGUSR1
.BR "bgtasksd reopen" .
.TP
.B SIGUSR2
.BR "bgtasksd upgrade" .
.TP
.BR SIGTTIN ", " SIGTTOU
One worker more, one fewer.
.SH FILES
.TP
.I /run/bgtasksd
Lock, pid file, control socket and wake socket, if it belongs to the daemon's user; else
.I $XDG_RUNTIME_DIR/bgtasksd
or
.IR ~/.bgtasksd .
.TP
.I /etc/default/bgtasksd
Environment of the service
.IR bgtasksd.service .
.TP
.IR /etc/bgtasksd/ NAME .env
Environment of the service
.IR bgtasksd@ NAME .service .
.SH SEE ALSO
.BR systemctl (1),
.BR systemd.service (5),
.BR journalctl (1)"""


def page(parser: ArgumentParser, verbs: Mapping[str, ArgumentParser]) -> str:
    """Return the page as troff, for man(1), from the parser and those of its verbs."""
    lines = [HEAD.format(version=__version__), ".SH OPTIONS", "Before or after every verb:", *_options(parser, ())]
    common = tuple(action.dest for action in parser._actions)
    lines.append(".SH VERBS")
    for name, verb in verbs.items():
        lines += [f".SS bgtasksd {_text(name)}", *_description(verb), *_options(verb, common)]
    return "\n".join([*lines, TAIL]) + "\n"


def _description(verb: ArgumentParser) -> Iterator[str]:
    summary, _, rest = (verb.description or "").partition("\n\n")
    usage = " ".join(verb.format_usage().removeprefix("usage: ").split())
    yield from (_text(summary), ".PP", rf"\fB{_text(usage)}\fR")
    yield from (".PP", ".nf", *(_text(line) for line in rest.splitlines()), ".fi")


def _options(parser: ArgumentParser, left_out: Iterable[str]) -> Iterator[str]:
    for action in parser._actions:
        hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction)
        if hidden or action.dest in left_out:
            continue
        yield from (".TP", _heading(action), _text(parser._get_formatter()._expand_help(action)) if action.help else "")


def _heading(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = "" if action.nargs == 0 else rf" \fI{_text(metavar)}\fR"
    if not action.option_strings:
        return value.strip()
    return ", ".join(rf"\fB{_text(flag)}\fR{value}" for flag in action.option_strings)


def _text(text: str) -> str:
    """Return text as troff prints it: no escape, no request, no colour, hyphens that can be copied."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...").replace("–", r"\(en")
    return re.sub(r"^(?=[.'])", r"\\&", text)
