"""The tree of errors: what a task's own `except` catches, and what it must not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bgtasks import exceptions


def test_the_heritage_signature_is_kept() -> None:
    error = exceptions.BackgroundTaskError("wrong", errors=["a", "b"])
    assert (str(error), error.errors) == ("wrong", ["a", "b"])
    assert issubclass(exceptions.InvalidTaskError, exceptions.BackgroundTaskError)


@pytest.mark.parametrize("name", ["TaskTimeout", "TaskInterrupted", "TaskCancelled", "ClaimLost"])
def test_except_exception_in_a_task_does_not_swallow_an_interruption(name: str) -> None:
    kind = getattr(exceptions, name)
    assert issubclass(kind, exceptions.TaskInterruption)
    assert not issubclass(kind, Exception)


def test_an_argument_error_is_a_type_error_as_json_raises_it() -> None:
    assert issubclass(exceptions.TaskArgumentError, TypeError)


def test_the_docstring_draws_every_class() -> None:
    for name, value in vars(exceptions).items():
        if isinstance(value, type) and value.__module__ == exceptions.__name__:
            assert f"{name} " in (exceptions.__doc__ or ""), name


@pytest.mark.parametrize("module", ["bgtasks.output", "bgtasks.exceptions", "bgtasks.units", "bgtasks.retries"])
def test_importing_costs_no_django(module: str) -> None:
    code = f"import sys, {module}; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
