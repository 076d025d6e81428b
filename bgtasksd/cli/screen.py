"""The terminal, while all of it is drawn on: given back on every way out, and sent only the lines that have changed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections import deque
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""The other screen, no cursor, no wrapping: a line that is too long is cut by the terminal itself."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
ESCAPE = "\x1b"
GONE = ""
"""What `key` returns for a terminal that has hung up."""


class Screen:
    """A context: the terminal of stdin and stdout is ours inside of it."""

    def __init__(self) -> None:
        self.input, self.output = sys.stdin.fileno(), sys.stdout.fileno()
        self._keys: deque[str] = deque()
        self._shown: list[str] = []
        self._size = (0, 0)
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._settings: list[Any] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Screen:
        self._settings = termios.tcgetattr(self.input)
        heard = {signal.SIGTERM: _end, signal.SIGHUP: _end, signal.SIGTSTP: self._rest, signal.SIGWINCH: _look_again}
        self._handlers = {number: signal.signal(number, handler) for number, handler in heard.items()}
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        self._take()
        return self

    def __exit__(self, *error: object) -> None:
        self._give_back()
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for descriptor in self._wakeup:
            os.close(descriptor)

    def draw(self, lines: Sequence[str], last: str) -> None:
        """Show these lines from the top, as many as there is room for, and one at the bottom."""
        size = self._measured()
        text = ""
        if size != self._size:
            self._size, self._shown, text = size, [], "\x1b[2J"
        room = max(0, size.lines - 1)
        wanted = [*lines[:room], *[""] * (room - len(lines)), last]
        for row, line in enumerate(wanted):
            if row >= len(self._shown) or self._shown[row] != line:
                text += f"\x1b[{row + 1};1H{line}\x1b[0m\x1b[K"
        self._shown = wanted
        self._write(text)

    def _measured(self) -> os.terminal_size:
        """Return the size; a terminal on a serial line may not know its own."""
        size = os.get_terminal_size(self.output)
        return size if size.columns and size.lines else os.terminal_size((80, 24))

    def key(self, seconds: float) -> str | None:
        """Return the next key that is pressed; None when the time is over, or when all is to be drawn again."""
        if not self._keys:
            ready, _, _ = select.select([self.input, self._wakeup[0]], [], [], max(0.0, seconds))
            if self._wakeup[0] in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup[0], 4096)
            if self.input not in ready:
                return None
            typed = self._read()
            if not typed:
                return GONE
            if typed != ESCAPE and typed.startswith(ESCAPE):
                return None  # an arrow or a function key
            self._keys.extend(typed)
        return self._keys.popleft()

    def _read(self) -> str:
        try:
            return os.read(self.input, 256).decode(errors="replace")
        except OSError:
            return ""

    def _take(self) -> None:
        tty.setcbreak(self.input, termios.TCSANOW)
        self._size = (0, 0)
        self._write(ENTER)

    def _give_back(self) -> None:
        with contextlib.suppress(OSError, termios.error):
            self._write(LEAVE)
            termios.tcsetattr(self.input, termios.TCSANOW, self._settings)

    def _rest(self, number: int, frame: FrameType | None) -> None:
        """Stop like any program on Ctrl-Z, and come back with the terminal as it was."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        # from here on somebody has continued us
        signal.signal(signal.SIGTSTP, self._rest)
        self._take()

    def _write(self, text: str) -> None:
        left = text.encode(errors="replace")
        while left:
            left = left[os.write(self.output, left) :]


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End the process through every `finally`, with the exit code of one that died of the signal."""
    raise SystemExit(128 + number)


def _look_again(number: int, frame: FrameType | None) -> None:
    """Do nothing: the wakeup descriptor has woken whoever waits for a key."""
