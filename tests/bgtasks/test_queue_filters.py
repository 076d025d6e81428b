"""Which queues somebody means: names, prefixes, exclusions, numbers of workers; and what is refused, by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgtasks.queue_filters import Binding, bindings_of, filter_of, groups_of, patterns_of

NAMES = ["default", "mail", "mail-bulk", "mailing", "Mail", "slow", "slow-2", "", "*", "!"]


@pytest.mark.parametrize(
    ("patterns", "meant"),
    [
        ("mail", {"mail"}),
        ("mail,slow", {"mail", "slow"}),
        ("mail*", {"mail", "mail-bulk", "mailing"}),
        ("mail*,!mail-bulk", {"mail", "mailing"}),
        ("!mail-bulk,mail*", {"mail", "mailing"}),
        ("mail*,slow", {"mail", "mail-bulk", "mailing", "slow"}),
        ("*,!slow", set(NAMES) - {"slow"}),
        ("!slow", set(NAMES) - {"slow"}),
        ("!slow*,!mail*", set(NAMES) - {"slow", "slow-2", "mail", "mail-bulk", "mailing"}),
        ("mail,slow,!slow", {"mail"}),
        ("mail,slow*,!slow", {"mail", "slow-2"}),
        ("*", set(NAMES)),
        (" mail , slow ", {"mail", "slow"}),
    ],
)
def test_patterns_mean_what_they_look_like(patterns: str, meant: set[str]) -> None:
    found = filter_of(patterns_of(patterns))
    assert {name for name in NAMES if found.matches(name)} == meant


def test_names_asked_for_are_looked_at_known_or_not_and_patterns_only_among_the_known() -> None:
    found = filter_of(("mail", "mail*", "new", "!mailing"))
    assert found.among(["mailing", "mail-x", "slow", "mail"]) == ["mail", "new", "mail-x"]
    assert filter_of(("!x",)).among([]) == []


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ("ma*il", "'ma*il': `*` stands only at the end, as in 'ma*'"),
        ("**", "'**': `*` stands only at the end, as in '*'"),
        ("!ma*il", "'!ma*il': `*` stands only at the end, as in 'ma*'"),
        ("!", "'!' names no queue"),
        ("!!mail", "'!!mail': write one `!` to exclude a queue"),
        ("", "the name of a queue is empty"),
        ("mail,,slow", "the name of a queue is empty"),
        ("x" * 191, f"'{'x' * 30}…' is too long: a queue's name has at most 190 characters"),
        ("!" + "x" * 191, f"'!{'x' * 29}…' is too long: a queue's name has at most 190 characters"),
        ("mail,!mail", "'mail,!mail' leaves no queue to serve"),
        ("mail*,!mail*", "'mail*,!mail*' leaves no queue to serve"),
        ("mail-a*,mail,!mail*", "'mail-a*,mail,!mail*' leaves no queue to serve"),
        ("*,!*", "'*,!*' leaves no queue to serve"),
        ("!*", "'!*' leaves no queue to serve"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(patterns: str, said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        patterns_of(patterns)
    assert str(refused.value) == said


def test_the_longest_name_and_the_longest_prefix_are_taken() -> None:
    for pattern in ("x" * 190, "x" * 190 + "*", "!" + "x" * 190):
        assert patterns_of(pattern) == (pattern,)


@given(st.lists(st.text("ab*!", min_size=1, max_size=3), min_size=1, max_size=4), st.text("ab", max_size=3))
def test_exclusions_always_win_and_nothing_else_raises(patterns: list[str], name: str) -> None:
    try:
        found = filter_of(tuple(patterns))
    except ValueError:
        return
    wanted = [each for each in patterns if each[0] != "!"] or ["*"]
    excluded = [each[1:] for each in patterns if each[0] == "!"]

    def hits(pattern: str) -> bool:
        return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern

    assert found.matches(name) == (any(map(hits, wanted)) and not any(map(hits, excluded)))


@pytest.mark.parametrize(
    ("given", "groups", "bindings"),
    [
        ("mail", ("mail",), ()),
        ("mail, slow", ("mail", "slow"), ()),
        (["mail,slow", "!x"], ("mail", "slow", "!x"), ()),
        ("mail:2", ("mail:2",), (Binding(("mail",), 2),)),
        ("mail, sms : 2; *:3", ("mail,sms:2", "*:3"), (Binding(("mail", "sms"), 2), Binding(("*",), 3))),
        (["mail:2", "*,!slow:1"], ("mail:2", "*,!slow:1"), (Binding(("mail",), 2), Binding(("*", "!slow"), 1))),
        ("tenant:7:1", ("tenant:7:1",), (Binding(("tenant:7",), 1),)),
        ("tenant:a", ("tenant:a",), ()),
        (("mail:2", "*:2"), ("mail:2", "*:2"), (Binding(("mail",), 2), Binding(("*",), 2))),
    ],
)
def test_groups_may_say_how_many_workers_they_get(given: object, groups: tuple[str, ...], bindings: object) -> None:
    assert groups_of(given) == groups  # type: ignore[arg-type]
    assert groups_of(groups) == groups
    assert bindings_of(groups) == bindings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["mail:2", "*"], "'*' says no number of workers, and others do: write '*:1'"),
        ("mail:0", "'mail:0': after the colon stands a number of workers, one or more, as in 'mail:2'"),
        ("mail:", "'mail:': after the colon stands a number of workers, one or more, as in 'mail:2'"),
        ("mail:-1", "'mail:-1': after the colon stands a number of workers, one or more, as in 'mail:2'"),
        (":2", "the name of a queue is empty"),
        ("ma*il:2", "'ma*il': `*` stands only at the end, as in 'ma*'"),
        (["mail", "!mail"], "'mail,!mail' leaves no queue to serve"),
        ("mail,!mail:2", "'mail,!mail' leaves no queue to serve"),
        (" , ;", "' , ;' is not a list of names: write mail,default"),
    ],
)
def test_groups_that_cannot_be_are_refused(given: object, said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        bindings_of(groups_of(given))  # type: ignore[arg-type]
    assert str(refused.value) == said


def test_the_module_needs_no_django() -> None:
    told = "import sys, bgtasks.queue_filters; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
