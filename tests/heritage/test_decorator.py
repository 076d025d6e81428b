"""COMPATIBILITY 1.2 and 1.3: the forms of the decorator, names, registration, and what a decorated name offers."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from bgtasks import background, registry
from bgtasks.tasks import BackgroundTask, TaskProxy, TaskSchedule


def plain(number: int, *, text: str = "x") -> tuple[int, str]:
    """Say what it was given."""
    return number, text


def test_three_forms_make_a_task() -> None:
    for task in (background(plain), background()(plain), background(name="named")(plain)):
        assert isinstance(task, BackgroundTask)
    assert registry.names() == ["named", f"{__name__}.plain"]


def test_the_first_four_arguments_may_be_given_by_position() -> None:
    task = background("named", 60, "mail", True)(plain)  # noqa: FBT003
    assert (task.name, task.schedule, task.queue, task.remove_existing_tasks) == (
        "named", TaskSchedule(run_at=60), "mail", True,
    )  # fmt: skip


def test_our_own_options_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        background("named", 60, "mail", True, 5)  # type: ignore[call-overload]  # noqa: FBT003


def test_the_default_name_is_module_and_name_without_the_enclosing_function() -> None:
    def inner() -> None: ...

    assert background(inner).name == f"{__name__}.inner"


def test_a_callable_without_a_name_needs_one_and_the_error_says_so() -> None:
    partial = functools.partial(plain, 1)
    with pytest.raises(TypeError, match="name="):
        background(partial)
    assert background(name="partial")(partial).now() == (1, "x")


def test_lambdas_and_functions_in_class_bodies_are_legal() -> None:
    class Shop:
        @background
        def sell() -> str:  # type: ignore[misc]
            return "sold"

        @background
        @staticmethod
        def buy() -> str:
            return "bought"

    doubled = background(name="doubled")(lambda number: number * 2)
    assert (Shop.sell.now(), Shop.buy.now(), doubled.now(4)) == ("sold", "bought", 8)


def test_registering_a_name_again_is_allowed_and_the_last_one_wins() -> None:
    def other() -> None: ...

    background(name="same")(plain)
    last = background(name="same")(other)
    assert registry.get("same") is last


def test_the_same_function_again_is_silent_and_two_functions_with_one_name_are_told() -> None:
    background(plain)
    background(plain)
    assert registry.duplicates() == {}

    def other() -> None: ...

    background(name=f"{__name__}.plain")(other)
    (functions,) = registry.duplicates().values()
    assert functions == [f"{__name__}.plain", f"{__name__}.{other.__qualname__}"]


def test_decorating_a_task_again_registers_its_function_once_more() -> None:
    first = background(plain)
    second = background(name="second")(first)
    assert second.task_function is plain
    assert registry.names() == ["second", first.name]


def test_now_is_the_function_itself() -> None:
    task = background(schedule=60)(plain)
    assert task.now is task.task_function is plain
    assert task.now(3, text="y") == (3, "y")


def test_what_the_heritage_had_is_there() -> None:
    task = background(queue="mail", schedule={"run_at": 10, "priority": 3}, remove_existing_tasks=True)(plain)
    assert TaskProxy is BackgroundTask
    assert (task.name, task.queue, task.remove_existing_tasks) == (f"{__name__}.plain", "mail", True)
    assert task.schedule == TaskSchedule(run_at=10, priority=3)
    assert background(plain).queue is None
    assert str(task) == f"BackgroundTask({__name__}.plain)"


def test_name_docstring_module_and_signature_are_kept() -> None:
    task: Any = background(plain)
    assert (task.__name__, task.__doc__, task.__module__) == ("plain", "Say what it was given.", __name__)
    assert task.__wrapped__ is plain
    assert inspect.signature(task) == inspect.signature(plain)


def test_options_of_the_decorator_are_read_once_and_wrong_ones_are_named() -> None:
    task = background(max_attempts=3, max_run_time=timedelta(minutes=2), backoff=[1, 2], atomic=True, repeat=60)(plain)
    options = task.options
    assert (options.max_attempts, options.max_run_time, options.repeat) == (3, 120, 60)
    assert (task.backoff, task.atomic) == ([1, 2], True)
    assert background(max_run_time=None)(plain).options.max_run_time == 0


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [
        ("max_attempts", -1, ValueError),
        ("max_attempts", 1.5, TypeError),
        ("max_attempts", True, TypeError),
        ("max_run_time", 0, ValueError),
        ("max_run_time", "soon", ValueError),
        ("priority", "high", TypeError),
        ("priority", 2**31, ValueError),
        ("priority", 1.5, TypeError),
        ("backoff", "slow", TypeError),
        ("backoff", [], ValueError),
        ("atomic", "yes", TypeError),
        ("repeat", 0.5, ValueError),
        ("repeat", timedelta(milliseconds=1500), ValueError),
        ("repeat", "hourly", TypeError),
        ("repeat", 10**12, ValueError),
        ("repeat_until", "tomorrow", TypeError),
        ("verbose_name", "x" * 256, ValueError),
        ("verbose_name", 7, TypeError),
        ("queue", "", ValueError),
        ("queue", "a\x00b", ValueError),
        ("queue", "q" * 191, ValueError),
        ("queue", 5, TypeError),
        ("queue", "\ud800", ValueError),
        ("schedule", "tomorrow", TypeError),
        ("schedule", {"runat": 5}, TypeError),
        ("remove_existing_tasks", "no", TypeError),
    ],
)
def test_a_wrong_option_is_refused_naming_task_option_and_value(option: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        background(**{option: value})(plain)
    for named in (f"{__name__}.plain", option, repr(value)):
        assert named in str(caught.value)


def test_an_unknown_option_names_the_near_one() -> None:
    with pytest.raises(TypeError, match="'max_attempts'"):
        background(max_atempts=3)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["", "x" * 256, 5])
def test_a_name_that_no_column_can_hold_is_refused(name: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="name="):
        background(name=name)(plain)


def test_background_works_before_the_app_registry_is_ready_and_without_settings() -> None:
    code = (
        "from bgtasks import background\n"
        "@background(queue='mail', schedule=60, max_run_time=None)\n"
        "def f(n): return n\n"
        "assert f.now(3) == 3\n"
        "assert f.using(priority=5, repeat=60).schedule.priority == 5\n"
        "from django.apps import apps; assert not apps.ready\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
