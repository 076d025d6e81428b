"""When a host may take another host's work: after a whole lease of continuous contact (SUPERVISION, rule 2)."""

from __future__ import annotations

import pytest

from bgtasks.maintenance import Contact

LEASE = 60.0
WALL = 1_700_000_000.0


@pytest.fixture
def contact():
    return Contact(LEASE)


def writes(contact, start, end, step=10.0, ahead=0.0):
    """Let a write succeed every `step` seconds, the database's clock `ahead`; return the time of the last one."""
    now = start
    while now <= end:
        contact.succeeded(now, WALL + now + ahead)
        now += step
    return now - step


def test_a_host_that_has_never_written_has_no_contact(contact):
    assert not contact.is_continuous(1000)


def test_contact_is_continuous_after_a_whole_lease(contact):
    writes(contact, 0, 50)
    assert not contact.is_continuous(59)
    writes(contact, 60, 60)
    assert contact.is_continuous(60)


def test_one_error_starts_it_anew(contact):
    writes(contact, 0, 100)
    contact.lost()
    assert not contact.is_continuous(100)
    writes(contact, 101, 151)
    assert not contact.is_continuous(151)
    writes(contact, 161, 161)
    assert contact.is_continuous(161)


def test_silence_of_more_than_half_a_lease_starts_it_anew(contact):
    writes(contact, 0, 100)
    assert contact.is_continuous(130)
    assert not contact.is_continuous(131)
    writes(contact, 131, 181)
    assert not contact.is_continuous(181)
    writes(contact, 191, 191)
    assert contact.is_continuous(191)


def test_writes_just_often_enough_keep_it(contact):
    assert contact.is_continuous(writes(contact, 0, 600, step=30))


@pytest.mark.parametrize("step", [3600, -3600, 15.1, -15.1])
def test_f82_a_step_of_the_database_clock_counts_as_lost_contact(contact, step):
    writes(contact, 0, 100)
    writes(contact, 110, 160, ahead=step)
    assert not contact.is_continuous(160)
    writes(contact, 170, 170, ahead=step)
    assert contact.is_continuous(170)


def test_many_small_steps_add_up(contact):
    for number in range(12):
        contact.succeeded(number * 10.0, WALL + number * 10.0 + number * 4.0)
    assert not contact.is_continuous(110)


def test_noise_and_slow_drift_within_a_quarter_lease_keep_it(contact):
    for number in range(13):
        contact.succeeded(number * 10.0, WALL + number * 10.0 + (5.0 if number % 2 else 0.0))
    assert contact.is_continuous(120)


def test_f58_a_suspend_shows_as_a_step_although_the_monotonic_clock_stood_still(contact):
    writes(contact, 0, 100)
    contact.succeeded(105, WALL + 105 + 8 * 3600)
    assert not contact.is_continuous(105)
