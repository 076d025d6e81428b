"""Completion, as the shells really do it."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from bgtasksd.cli.completion import SHELLS, script
from bgtasksd.cli.parser import build

IN_BASH = """
source {script}
complete -p bgtasksd
COMP_WORDS=({words} {quoted}) COMP_CWORD={at} COMP_LINE="{words} {current}" COMP_POINT=${{#COMP_LINE}}
_bgtasksd 2>/dev/null; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The text for each shell in a file."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / shell).write_text(script(shell, *build()))
    return folder


def in_bash(scripts, words: str, current: str = "") -> set[str]:
    """Return what bash offers after these words."""
    text = IN_BASH.format(
        script=scripts / "bash", words=words, quoted=f"'{current}'", current=current, at=len(words.split())
    )
    told = subprocess.run(["bash", "--norc", "-c", text], capture_output=True, text=True, check=True).stdout
    first, *offered = told.splitlines()
    assert first == "complete -F _bgtasksd bgtasksd"
    return set(offered) - {""}


@pytest.mark.parametrize(
    ("words", "current", "offered"),
    [
        ("bgtasksd", "sta", {"start", "status", "stacks"}),
        ("bgtasksd --instance start", "sto", {"stop"}),
        ("bgtasksd stop", "--t", {"--timeout"}),
        ("bgtasksd --json stop", "--n", {"--now", "--no-color"}),
        ("bgtasksd log-level", "w", {"warning"}),
        ("bgtasksd start --log-format", "", {"text", "json"}),
        ("bgtasksd start --workers", "", set()),
        ("bgtasksd completion", "z", {"zsh"}),
        ("bgtasksd nonsense", "", set()),
        ("bgtasksd tasks", "re", {"retry"}),
        ("bgtasksd tasks list", "--que", {"--queue"}),
        ("bgtasksd tasks list --status", "s", {"scheduled", "successful"}),
        ("bgtasksd prune --status", "", {"successful", "failed", "cancelled"}),
    ],
)
def test_bash_offers_verbs_options_and_values(scripts, words, current, offered) -> None:
    assert in_bash(scripts, words, current) == offered


def test_bash_offers_files_where_a_file_is_wanted(scripts, tmp_path) -> None:
    (tmp_path / "a.log").touch()
    (tmp_path / "a.dir").mkdir()
    assert f"{tmp_path}/a.log" in in_bash(scripts, "bgtasksd start --log-file", f"{tmp_path}/a")
    assert in_bash(scripts, "bgtasksd start --chdir", f"{tmp_path}/a") == {f"{tmp_path}/a.dir"}


def test_an_interactive_bash_completes_when_tab_is_pressed(scripts) -> None:
    typed = f"source {scripts / 'bash'}\nbgtasksd compl\t; exit\n"
    told = subprocess.run(
        ["bash", "--norc", "-i"], input=typed, capture_output=True, text=True, timeout=60, check=False
    )
    assert "bgtasksd completion" in told.stderr


def test_every_verb_and_every_option_is_known_to_every_shell(scripts) -> None:
    _, verbs = build()
    for shell in SHELLS:
        text = (scripts / shell).read_text()
        for name, parser in verbs.items():
            assert name.split()[-1] in text
            for flag in parser._option_string_actions:
                assert (spelled_for_fish(flag) if shell == "fish" else flag) in text


def spelled_for_fish(flag: str) -> str:
    return f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_the_shell_itself_can_read_it(scripts, shell) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", scripts / shell], check=True, capture_output=True)


def test_fish_offers_verbs_and_options(scripts) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    for line, word in (
        ("bgtasksd tasks list --status fa", "failed"),
        ("bgtasksd compl", "completion"),
        ("bgtasksd stop --ti", "--timeout"),
        ("bgtasksd tasks list --que", "--queue"),
    ):
        text = f"source {scripts / 'fish'}; complete -C '{line}'"
        told = subprocess.run(["fish", "--no-config", "-c", text], capture_output=True, text=True, check=True).stdout
        assert [each.split("\t")[0] for each in told.splitlines()] == [word]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_know_the_statuses_too(scripts, shell) -> None:
    option, offered = {
        "zsh": ("--status[", ": :(successful failed cancelled)'"),
        "fish": ("-l status ", "-x -a 'successful failed cancelled'"),
    }[shell]
    (line,) = [line for line in (scripts / shell).read_text().splitlines() if "prune" in line and option in line]
    assert offered in line.partition(option)[2]


def test_the_verb_prints_it(scripts) -> None:
    command = [sys.executable, "-m", "bgtasksd", "completion", "bash"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == (scripts / "bash").read_text()
