"""Where the command line begins, as light as can be: a Ctrl-C while the rest is loaded ends it without a word."""

import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # `signal` itself takes time to load


def main() -> int:
    """Run `bgtasksd` with the arguments of the process, and return the exit code."""
    if getsignal(SIGINT) is default_int_handler:  # else it is ignored, and stays so
        signal(SIGINT, SIG_DFL)
    from bgtasksd import cli  # the rest

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
