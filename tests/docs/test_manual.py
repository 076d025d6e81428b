"""The manual page bgtasksd(8): everything the parser knows, and nothing that troff complains of."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from bgtasksd.cli.manual import page
from bgtasksd.cli.parser import build


@pytest.fixture(scope="module")
def printed() -> str:
    """Return the page as `man` prints it."""
    if shutil.which("groff") is None:
        assert os.environ.get("CI") != "true", "groff is missing, and in CI nothing is left out"
        pytest.skip("no groff here")
    command = ["groff", "-man", "-Tascii", "-Kutf8", "-ww", "-P-cbou", "-rLL=400n"]
    made = subprocess.run(command, input=page(*build()), capture_output=True, text=True, timeout=60, check=True)
    assert made.stderr == ""
    return made.stdout


def test_it_names_every_verb_and_every_option(printed) -> None:
    for name, verb in build()[1].items():
        assert f"bgtasksd {name}\n" in printed
        assert " ".join((verb.description or "").split()[:3]) in " ".join(printed.split())
        for action in verb._actions:
            assert all(flag in printed for flag in action.option_strings)


def test_it_says_what_the_exit_codes_mean(printed) -> None:
    assert "exit codes: 0 ok, 1 warning, 2 critical, 3 unknown" in printed


def test_examples_keep_their_lines_and_their_quotes(printed) -> None:
    assert "bgtasksd start --queue mail:2 --queue '*:2' --settings mysite.settings\n" in printed
