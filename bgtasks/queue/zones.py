"""Columns that hold time without a zone: what they mean, and how far they are ahead of UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone


def with_zone(value: datetime, connection: BaseDatabaseWrapper) -> datetime:
    """Return what a driver without time zones read, as the ORM would give it."""
    if not settings.USE_TZ:
        return value
    if connection.timezone is UTC:
        return value.replace(tzinfo=UTC)
    return timezone.make_aware(value, connection.timezone)


def in_utc(connection: BaseDatabaseWrapper) -> bool:
    """Return whether columns hold UTC, as they do by default."""
    return settings.USE_TZ and connection.timezone is UTC


def utc_offset(connection: BaseDatabaseWrapper, at: datetime) -> int:
    """Return the seconds by which the columns' time is ahead of UTC."""
    if in_utc(connection):
        return 0
    zone = connection.timezone if settings.USE_TZ else timezone.get_default_timezone()
    # With USE_TZ off `at` is naive and local: Django has set the process to TIME_ZONE.
    offset = at.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
