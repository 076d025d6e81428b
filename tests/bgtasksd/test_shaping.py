"""What a reload makes of changed numbers of workers and queues, and that it leaves what an operator has scaled."""

from __future__ import annotations

from collections import Counter

import pytest

from bgtasksd.options import Binding, Options, options_from
from bgtasksd.supervisor.changes import Changes
from bgtasksd.supervisor.goals import goals_of
from bgtasksd.supervisor.making import make_situation
from bgtasksd.supervisor.scaling import Scaling
from bgtasksd.supervisor.shaping import reshape


@pytest.fixture
def options(tmp_path):
    def make(**given) -> Options:
        given.setdefault("workers", sum(binding.workers for binding in given.get("bindings", ())) or 2)
        return Options(settings="s", root="/", runtime_dir=str(tmp_path), **given)

    return make


def bound(**workers: int) -> tuple[Binding, ...]:
    return tuple(Binding((queue,), count) for queue, count in workers.items())


def shape(situation) -> dict:
    return {group.name: group.wanted for group in situation.slots.groups}


@pytest.mark.parametrize(
    ("before", "scaled", "after", "expected"),
    [
        ({"workers": 2}, None, {"workers": 5}, {"*": 5}),
        ({"workers": 2}, 3, {"workers": 5}, {"*": 3}),
        ({"workers": 2}, 3, {"workers": 2}, {"*": 3}),
        ({"workers": 2, "queues": ("mail",)}, None, {"workers": 3, "queues": ("sms",)}, {"sms": 3}),
        ({"workers": 2}, None, {"bindings": bound(mail=1, sms=2)}, {"mail": 1, "sms": 2}),
        ({"bindings": bound(mail=1, sms=2)}, None, {"bindings": bound(sms=3)}, {"sms": 3}),
    ],
)
def test_changed_options_are_in_force_unless_somebody_has_scaled(options, before, scaled, after, expected):
    situation = make_situation(options(**before))
    if scaled is not None:
        situation.slots.groups[0].wanted = scaled
    reshape(situation, situation.options, options(**after))
    assert shape(situation) == expected


@pytest.mark.parametrize(
    "steps",
    [
        [bound(a=2, b=1), bound(a=2), bound(b=2)],
        [bound(mail=2, sms=1), bound(mail=2), bound(mail=2, sms=1)],
        [bound(mail=2, sms=1), bound(mail=3), bound(mail=2, sms=1)],
        [bound(mail=1, sms=1), bound(sms=1), bound(mail=1)],
        [(*bound(mail=1), Binding(("*",), 3)), ()],
    ],
)
def test_queues_that_go_and_come_again_have_their_workers_and_no_others(options, steps):
    """Each step is taken once before what the one before has given up is gone, and once after."""
    for is_settled in (False, True):
        situation = make_situation(options(bindings=steps[0]))
        scaling = Scaling(situation, Changes(lambda change: None))
        for step in steps[1:]:
            after = options(bindings=step)
            reshape(situation, situation.options, after)
            situation.options = after
            if is_settled:
                scaling.run()
        scaling.run()
        wanted = situation.options.workers_by_queues()
        assert {group.queues: group.wanted for group in situation.slots.groups} == wanted
        assert Counter(slot.queues for slot in situation.slots) == Counter(wanted)
        before = [id(slot) for slot in situation.slots]
        scaling.run()
        assert [id(slot) for slot in situation.slots] == before, "it is at rest"
        if len(wanted) == 1:
            assert sum(goals_of(situation.slots, 7).values()) == 7


def test_options_are_the_same_after_json(options):
    given = options(bindings=bound(mail=1, sms=2), queues=("mail:1", "sms:2"))
    assert options_from({**given.as_json(), "of_a_later_version": 1}) == given
