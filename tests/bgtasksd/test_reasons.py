"""What is said of a failure: the error first, and never a text whose beginning is missing."""

from __future__ import annotations

import pytest

from bgtasksd.reasons import gist, shortened


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("sku"), "KeyError: 'sku'"),
        (SystemExit(), "SystemExit"),
        (OSError("refused\n\tIs the server running on that host?"), "OSError: refused"),
        (SyntaxError("invalid syntax", ("tasks.py", 3, 1, "def")), "SyntaxError: invalid syntax (tasks.py, line 3)"),
    ],
)
def test_an_error_is_told_in_one_line(error, said) -> None:
    assert gist(error) == said


def test_a_long_reason_keeps_its_first_line_and_whole_lines_of_its_end() -> None:
    trace = "\n".join(f"line {number}" for number in range(1000))
    reason = f"KeyError: 'sku'\n{trace}"
    told = shortened(reason, 200)
    assert len(told) <= 200
    first, left_away, *last = told.splitlines()
    assert (first, left_away) == ("KeyError: 'sku'", "…")
    assert len(last) > 15
    assert trace.endswith("\n" + "\n".join(last))
    assert shortened(reason, len(reason)) == reason


def test_one_endless_line_is_shortened_too() -> None:
    told = shortened("KeyError: " + "x" * 5000, 100)
    assert told.startswith("KeyError: x")
    assert len(told) <= 100
