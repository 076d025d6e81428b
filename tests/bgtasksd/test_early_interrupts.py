"""Ctrl-C while a command is still being loaded: it ends without a word, and never with a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes
ROOT = Path(__file__).resolve().parents[2]
INTERRUPTS_AN_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's job in the background is started deaf to it
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
"""


@pytest.mark.parametrize(
    ("verb", "module"),
    [
        ("status", "bgtasksd.cli"),
        ("status", "argparse"),
        ("status", "bgtasksd.cli.verbs.status"),
        ("start", "bgtasksd.supervisor.run"),
        ("tasks list", "bgtasksd.cli.project"),
        ("tasks list", "django.apps"),
    ],
)
def test_an_interrupt_while_a_module_is_loaded_ends_a_command_quietly(tmp_path, verb, module):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS_AN_IMPORT)
    ended = subprocess.run(
        [sys.executable, "-m", "bgtasksd", *verb.split(), "--runtime-dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "INTERRUPT_AT": module},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (-signal.SIGINT, 130), ended
    assert not ended.stderr
