"""`bgtasksd completion`: what a shell reads to complete this command line."""

from __future__ import annotations

import argparse

from bgtasksd.cli.completion import SHELLS, script
from bgtasksd.cli.printing import say

EXAMPLES = """examples:
  bgtasksd completion bash > /etc/bash_completion.d/bgtasksd
  bgtasksd completion zsh > ~/.zfunc/_bgtasksd
  bgtasksd completion fish > ~/.config/fish/completions/bgtasksd.fish
  source <(bgtasksd completion bash)  for this session of bash alone

exit codes: 0 done, 2 usage"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("shell", choices=sorted(SHELLS), metavar="SHELL", help=f"one of {', '.join(sorted(SHELLS))}")


def run(typed: argparse.Namespace) -> int:
    """Print the text; it is made once and starts no Python when it is used."""
    say(script(typed.shell, *typed.build()).rstrip())
    return 0
