"""The watermark: what it lets a claim pass over, and for how long."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from bgtasks.queue.watermark import FEWEST, LONGEST, MOST, SLACK, Piece, Place, Watermark

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float, claim_order: int = 0, queue: str = "default", task_id: int = 7) -> Place:
    return Place(claim_order, NOON + timedelta(seconds=seconds), task_id, queue)


def full(mark: Watermark, *places: Place, now: float = 100.0, is_bounded: bool = False) -> None:
    for _ in range(FEWEST):
        mark.claimed(places, max(place.run_at for place in places), is_bounded=is_bounded, now=now)


def is_looked_at(pieces: tuple[Piece, ...], place: Place) -> bool:
    """Say whether a row that stands there is in one of its queue's pieces. A queue without is looked at as a whole."""
    own = [piece for piece in pieces if piece.queue == place.queue]
    return not own or [_has(piece, place) for piece in own].count(True) == 1


def _has(piece: Piece, place: Place) -> bool:
    begins = piece.above is None or place[:3] >= (piece.above, piece.since, piece.first)
    return begins and (piece.below is None or place.claim_order < piece.below)


def test_the_first_claim_looks_at_everything() -> None:
    assert Watermark().pieces(100.0) == ()


def test_a_few_full_batches_are_no_backlog() -> None:
    mark = Watermark()
    for number in range(FEWEST):
        assert mark.pieces(100.1) == ()
        mark.claimed([at(number)], NOON, is_bounded=False, now=100.0)
    assert mark.pieces(100.1) != ()


def test_behind_a_full_batch_nothing_is_looked_at_again_but_two_seconds() -> None:
    mark = Watermark()
    full(mark, at(10.1), at(11), at(12))
    pieces = mark.pieces(100.1)
    assert pieces == (
        Piece("default", None, None, None, 0),
        Piece("default", 0, NOON + timedelta(seconds=8.1), 0, None),
    )
    assert not is_looked_at(pieces, at(7.9))
    assert is_looked_at(pieces, at(10.2 - SLACK.total_seconds()))


def test_behind_a_batch_that_waited_for_longer_nothing_is_looked_at_again_not_even_of_the_same_moment() -> None:
    mark = Watermark()
    full(mark, at(0, task_id=1))
    mark.claimed([at(10, task_id=20), at(10, task_id=21)], NOON + timedelta(seconds=13), is_bounded=False, now=100.0)
    pieces = mark.pieces(100.1)
    assert not is_looked_at(pieces, at(10, task_id=19))
    assert is_looked_at(pieces, at(10, task_id=20))


def test_after_a_second_everything_is_looked_at_however_many_batches_were_full() -> None:
    mark, passed_over_since = Watermark(), 0.0
    for turn in range(500):
        now = 100 + turn * 0.013
        pieces = mark.pieces(now)
        if is_looked_at(pieces, at(-60)):
            passed_over_since = now
        assert now - passed_over_since < LONGEST
        full(mark, at(turn), at(turn + 1), now=now, is_bounded=bool(pieces))
    assert mark.pieces(now) != ()


def test_what_is_more_urgent_is_always_looked_at() -> None:
    mark = Watermark()
    full(mark, at(10, claim_order=0))
    full(mark, at(10, claim_order=5), is_bounded=True, now=100.1)
    for claim_order in (-1000, -1, 1, 4, 6, 1000):
        assert is_looked_at(mark.pieces(100.2), at(-3600, claim_order))
    for claim_order in (0, 5):
        assert not is_looked_at(mark.pieces(100.2), at(-3600, claim_order))


def test_other_queues_are_looked_at_as_a_whole() -> None:
    mark = Watermark()
    full(mark, at(10))
    assert is_looked_at(mark.pieces(100.1), at(-3600, queue="mail"))


def test_it_is_lifted_by_a_batch_that_was_not_full_and_by_what_is_given_back() -> None:
    mark = Watermark()
    full(mark, at(10))
    mark.forget()
    assert mark.pieces(100.1) == ()


def test_a_look_at_everything_keeps_only_what_it_has_passed() -> None:
    mark = Watermark()
    full(mark, at(50, claim_order=-5))
    full(mark, at(50, claim_order=0), now=100.2, is_bounded=True)
    full(mark, at(0, claim_order=-2), now=101.3)
    pieces = mark.pieces(101.4)
    assert not is_looked_at(pieces, at(0, claim_order=-5))
    assert is_looked_at(pieces, at(0, claim_order=0))


def test_pieces_cover_everything_once_but_what_is_below_a_mark() -> None:
    mark = Watermark()
    places = [at(number * 7 % 40, order, queue) for number, (order, queue) in enumerate(
        itertools.product((-3, -2, 0, 4), ("a", "b", "c")))]  # fmt: skip
    full(mark, at(0))
    mark.claimed(places, NOON + timedelta(hours=1), is_bounded=False, now=100.0)
    marks = {(place.queue, place.claim_order): place.run_at for place in places}
    for queue, order, seconds in itertools.product("abcd", range(-5, 7), range(-10, 50, 3)):
        place = at(seconds, order, queue)
        below = place.run_at < marks.get((queue, order), NOON - timedelta(days=1))
        assert is_looked_at(mark.pieces(100.1), place) is not below


def test_it_never_has_more_marks_than_a_statement_can_bear() -> None:
    mark = Watermark()
    for turn in range(5):
        full(mark, *(at(0, queue=f"{turn}-{number}") for number in range(50)), now=100 + turn / 10, is_bounded=turn > 0)
    assert len(mark.pieces(100.5)) == 2 * MOST
