"""Sending signals: a receiver that raises is logged, and stops nobody."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from django.dispatch import Signal

from bgtasks import signals

HERITAGE = ["created", "started", "error", "rescheduled", "failed", "successful", "finished"]


def test_the_heritage_s_signals_are_there() -> None:
    assert all(isinstance(getattr(signals, f"task_{name}"), Signal) for name in HERITAGE)


def test_beside_them_there_is_one_for_cancelled_tasks() -> None:
    assert isinstance(signals.task_cancelled, Signal)


def test_later_receivers_are_called_and_the_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    def raising(**kwargs: Any) -> None:
        raise RuntimeError("as asked")

    def noting(sender: Any, task: Any, **kwargs: Any) -> None:
        seen.append((sender, task))

    signals.task_started.connect(raising)
    signals.task_started.connect(noting)
    try:
        signals.announce(signals.task_started, "sender", task=7)
    finally:
        signals.task_started.disconnect(raising)
        signals.task_started.disconnect(noting)
    assert seen == [("sender", 7)]
    (logged,) = [one for one in caplog.records if one.name == "bgtasks.signals" and "raising raised" in one.message]
    assert logged.levelno == logging.ERROR
    assert "signal=task_started" in logged.message
    assert "RuntimeError" in logged.message
    assert logged.exc_info


def test_a_receiver_that_exits_does_not_end_the_process(caplog: pytest.LogCaptureFixture) -> None:
    def leaving(**kwargs: Any) -> None:
        sys.exit(3)

    signals.task_failed.connect(leaving)
    try:
        signals.announce(signals.task_failed, "sender", task_id=1)
    finally:
        signals.task_failed.disconnect(leaving)
    assert "SystemExit" in caplog.text


def test_without_receivers_nothing_happens() -> None:
    signals.announce(signals.task_finished, "sender", task_id=1)
