"""For projects that come from django-background-tasks: its import names, its running by hand, and its rows."""

from bgtasks.compat.alias import install

__all__ = ["install"]
