"""The task of the Django project that procrastinate runs in."""

from __future__ import annotations

from procrastinate.contrib.django import app


@app.task
async def nothing(text: str, number: int, *, flag: bool = False) -> None:
    """Do nothing."""
