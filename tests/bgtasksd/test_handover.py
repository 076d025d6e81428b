"""What one program leaves to the next: nothing is forgotten, nothing of another version is believed."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from bgtasksd.scoreboard.board import unnamed_memory
from bgtasksd.supervisor import handover
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.link import Link
from bgtasksd.supervisor.packing import OF_CHILD, OF_LINK, OF_SITUATION, OF_SLOT
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.slots import Slot

APART = {
    Child: {
        *("page", "place_indexes", "channel", "dump", "state", "process", "record", "cause", "history"),
        *("task_deadlines", "interruptions"),
    },
    Slot: {"queues", "child", "successor", "leaving", "backoff"},
    Situation: {
        *(
            "options",
            "clock",
            "loop",
            "board",
            "slots",
            "budget",
            "deaths",
            "zygote",
            "maintenance",
            "totals",
            "executions",
            "events",
        ),
        *("database", "strays_reaped"),
    },
}
"""Handed over in a form of their own."""
MADE_ANEW = {
    Child: {"tasks"},
    Slot: {"is_rolling"},
    Situation: {
        *("beside", "errands", "oom", "serves", "on_free", "on_more", "is_reloading", "is_upgrading", "is_stopping"),
        *("error_text", "error_code", "queues_left_out"),
    },
}
"""Nothing of the kind is under way when a daemon is upgraded, or it is read again."""


@pytest.mark.parametrize(("kind", "plain"), [(Child, OF_CHILD), (Slot, OF_SLOT), (Situation, OF_SITUATION)])
def test_every_field_is_handed_over_or_made_anew(kind, plain):
    fields = {field.name for field in dataclasses.fields(kind)}
    assert fields == set(plain) | APART[kind] | MADE_ANEW[kind]


def test_what_is_handed_over_of_a_link_exists():
    link = Link("zygote", "", None, None, 5.0)  # type: ignore[arg-type]
    assert all(hasattr(link, name) for name in OF_LINK)
    link.close()


def test_a_state_is_read_as_it_was_written_and_its_descriptors_are_not_inherited():
    luggage = handover.Luggage()
    kept = luggage.take(unnamed_memory("kept"))
    luggage.open_to_exec(is_open=True)
    assert os.get_inheritable(kept)
    state = handover.read(handover.write({"some": [1, None]}, luggage))
    assert state["some"] == [1, None]
    assert not os.get_inheritable(kept)
    os.close(kept)


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"version": handover.VERSION + 1, "descriptors": []})])
def test_a_state_that_is_none_or_of_another_version_is_refused(text):
    descriptor = unnamed_memory("handover")
    os.write(descriptor, text.encode())
    with pytest.raises(handover.Unreadable):
        handover.read(descriptor)
