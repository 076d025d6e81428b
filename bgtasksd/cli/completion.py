"""Completion for bash, zsh and fish: static text made from the parser, so that pressing Tab starts no Python."""

from __future__ import annotations

import argparse
import shlex
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bgtasks.management.verbs.statuses import WORDS

BASH = """# bgtasksd for bash; from here on: source <(bgtasksd completion bash)
_bgtasksd() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb='' words='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            @SKIPPED) ((i++)) ;;
            -*) ;;
            *) verb=${verb:+$verb }${COMP_WORDS[i]}; case $verb in @PARENTS) ;; *) break ;; esac ;;
        esac
    done
    case "$verb $previous" in
@VALUES
    esac
    case $verb in
@WORDS
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _bgtasksd bgtasksd"""
ZSH = """#compdef bgtasksd
# bgtasksd for zsh; a file _bgtasksd in a folder of $fpath, or: source <(bgtasksd completion zsh)
_bgtasksd() {
    local curcontext=$curcontext state line verb
    local -a verbs
    verbs=(@VERBS)
    _arguments -C @FLAGS '1: :->verb' '*:: :->rest'
    [[ $state = verb ]] && _describe -t verbs verb verbs
    [[ $state = rest ]] || return
    verb=$words[1]
    if [[ $verb = (@PARENTS) ]] && (( CURRENT > 2 )); then
        shift words; (( CURRENT-- )); verb="$verb $words[1]"
    fi
    case $verb in
@CASES
    esac
}
if [[ $funcstack[1] = _bgtasksd ]]; then _bgtasksd "$@"; else compdef _bgtasksd bgtasksd; fi"""
SUBCOMMAND = "__fish_seen_subcommand_from"


@dataclass(frozen=True, slots=True)
class Flag:
    """One option."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    words: tuple[str, ...] = ()
    """What the value can be, if that is known."""
    path: str = ""
    """`file` or `directory`, when the value is the path of one."""


@dataclass(frozen=True, slots=True)
class Verb:
    """What can follow a verb; the nameless one stands for what comes before any. `tasks list` is one below `tasks`."""

    name: str
    summary: str
    flags: tuple[Flag, ...]
    words: tuple[str, ...]


def script(shell: str, parser: ArgumentParser, verbs: Mapping[str, ArgumentParser]) -> str:
    """Return what `shell` has to read, made from the parser and those of its verbs."""
    top = Verb("", "", tuple(_flags(parser)), tuple(name for name in verbs if " " not in name))
    read = [_verb(name, verb) for name, verb in verbs.items()]
    return "\n".join(SHELLS[shell](top, read)) + "\n"


def _verb(name: str, parser: ArgumentParser) -> Verb:
    words = [
        str(word) for action in parser._actions if not action.option_strings for word in action.choices or () if word
    ]
    return Verb(name, (parser.description or "").partition("\n")[0], tuple(_flags(parser)), tuple(words))


def _flags(parser: ArgumentParser) -> Iterator[Flag]:
    for action in parser._actions:
        if not action.option_strings or action.help == argparse.SUPPRESS:
            continue
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        known = action.choices or getattr(action, WORDS, ())
        words = [str(word) for word in known] or (metavar.split("|") if "|" in metavar else [])
        path = {"FILE": "file", "DIR": "directory"}.get(metavar, "")
        text = parser._get_formatter()._expand_help(action) if action.help else ""
        yield Flag(tuple(action.option_strings), text, action.nargs != 0, tuple(words), path)


def _bash(top: Verb, verbs: list[Verb]) -> Iterator[str]:
    skipped = "|".join(name for flag in top.flags if flag.takes_value for name in flag.names)
    values, words = [], []
    for verb in [top, *verbs]:
        for flag in verb.flags:
            if flag.takes_value:
                cases = "|".join(f'"{verb.name} {name}"' for name in flag.names)
                values.append(f"        {cases}) {_bash_value(flag)}; return ;;")
        offered = " ".join([*verb.words, *(name for flag in verb.flags for name in flag.names)])
        words.append(f"        {shlex.quote(verb.name)}) words={shlex.quote(offered)} ;;")
    text = BASH.replace("@SKIPPED", skipped).replace("@PARENTS", "|".join(_parents(verbs)) or "-")
    yield text.replace("@VALUES", "\n".join(values)).replace("@WORDS", "\n".join(words))


def _parents(verbs: list[Verb]) -> list[str]:
    """Return the verbs that have others below them."""
    return sorted({verb.name.split()[0] for verb in verbs if " " in verb.name})


def _bash_value(flag: Flag) -> str:
    if flag.words:
        return f'COMPREPLY=($(compgen -W {shlex.quote(" ".join(flag.words))} -- "$current"))'
    if flag.path:
        return f'compopt -o filenames; COMPREPLY=($(compgen {"-f" if flag.path == "file" else "-d"} -- "$current"))'
    return "COMPREPLY=()"


def _zsh(top: Verb, verbs: list[Verb]) -> Iterator[str]:
    named = [shlex.quote(f"{verb.name}:{verb.summary}") for verb in verbs if verb.name in top.words]
    cases = []
    for verb in verbs:
        positional = f" {shlex.quote(f'*: :({chr(32).join(verb.words)})')}" if verb.words else ""
        cases.append(f"        {shlex.quote(verb.name)}) _arguments {' '.join(_zsh_flags(verb))}{positional} ;;")
    text = ZSH.replace("@VERBS", " ".join(named)).replace("@FLAGS", " ".join(_zsh_flags(top)))
    yield text.replace("@PARENTS", "|".join(_parents(verbs)) or "-").replace("@CASES", "\n".join(cases))


def _zsh_flags(verb: Verb) -> Iterator[str]:
    for flag in verb.flags:
        said = "".join(f"\\{each}" if each in "[]:\\" else each for each in flag.help)
        action = {"file": "_files", "directory": "_files -/"}.get(flag.path, "")
        action = f"({' '.join(flag.words)})" if flag.words else action
        for name in flag.names:
            yield shlex.quote(f"*{name}[{said}]" + (f": :{action}" if flag.takes_value else ""))


def _fish(top: Verb, verbs: list[Verb]) -> Iterator[str]:
    yield "# bgtasksd for fish; into ~/.config/fish/completions/bgtasksd.fish, or: bgtasksd completion fish | source"
    yield "complete -c bgtasksd -f"
    for flag in top.flags:
        yield f"complete -c bgtasksd{_fish_flag(flag)}"
    common = {name for flag in top.flags for name in flag.names}
    for verb in verbs:
        condition = "; and ".join(f"{SUBCOMMAND} {word}" for word in verb.name.split())
        if verb.name in top.words:
            yield f"complete -c bgtasksd -n __fish_use_subcommand -a {verb.name} -d {_fish_quoted(verb.summary)}"
        for flag in verb.flags:
            if not common & set(flag.names):
                yield f"complete -c bgtasksd -n {_fish_quoted(condition)}{_fish_flag(flag)}"
        if verb.words:
            yield f"complete -c bgtasksd -n {_fish_quoted(condition)} -a {_fish_quoted(' '.join(verb.words))}"


def _fish_flag(flag: Flag) -> str:
    names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in flag.names)
    value = ""
    if flag.takes_value:
        value = {"file": " -r -F", "directory": " -x -a '(__fish_complete_directories)'"}.get(flag.path, " -x")
        value = f" -x -a {_fish_quoted(' '.join(flag.words))}" if flag.words else value
    return f"{names}{value} -d {_fish_quoted(flag.help)}"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS: dict[str, Callable[[Verb, list[Verb]], Iterator[str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
