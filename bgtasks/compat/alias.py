"""`import background_task` leads to bgtasks: installed by one line in the settings, and touching no model.

The alias package has no folder of its own: a real `__path__` would let its submodules be loaded a second time, under
names that Django does not know, and every model class would exist twice.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

PACKAGE = "background_task"
HOMES = {
    "tasks": "bgtasks.compat.tasks",
    "models": "bgtasks.models",
    "models_completed": "bgtasks.models",
    "settings": "bgtasks.compat.settings",
    "signals": "bgtasks.signals",
    "exceptions": "bgtasks.exceptions",
    "admin": "bgtasks.admin",
}
"""Which module stands for which of the old package's."""


def install() -> None:
    """Let `import background_task` and its modules lead to those of bgtasks. Write it at the top of the settings.

    Harmless if done twice. Raises ImproperlyConfigured when the real package can be imported: both would fill tables
    of their own, and only one of them has workers.
    """
    if is_installed():
        return
    if PACKAGE in sys.modules or find_spec(PACKAGE) is not None:
        from django.core.exceptions import ImproperlyConfigured  # only here: settings are being read

        raise ImproperlyConfigured(
            f"bgtasks.compat.install(): the real {PACKAGE} is there. Uninstall it first: {_uninstall()}"
        )
    sys.meta_path.insert(0, _Finder())


def is_installed() -> bool:
    """Return whether the alias is in force."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def _uninstall() -> str:
    names = metadata.packages_distributions().get(PACKAGE)
    return f"pip uninstall {' '.join(sorted(set(names)))}" if names else f"remove the folder {PACKAGE} from the project"


class _Finder(MetaPathFinder):
    """Finds the old package and those of its modules that have a counterpart."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if package != PACKAGE:
            return None
        if not module:
            return ModuleSpec(fullname, _Package(), is_package=True)
        if module == "apps":
            return ModuleSpec(fullname, _Apps())
        return ModuleSpec(fullname, _Counterpart(HOMES[module])) if module in HOMES else None


class _Package(Loader):
    """Makes the package itself: a module without a folder."""

    def exec_module(self, module: ModuleType) -> None:
        import bgtasks

        module.__version__ = bgtasks.__version__  # type: ignore[attr-defined]
        module.__getattr__ = _public  # type: ignore[method-assign]


def _public(name: str) -> Any:
    if name != "background":
        raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
    return import_module("bgtasks.tasks").background


class _Counterpart(Loader):
    """Puts one of our modules, the very object, under the old name."""

    def __init__(self, home: str) -> None:
        self.home = home

    def exec_module(self, module: ModuleType) -> None:
        # Swapped here and not in create_module: what that returns gets a new __spec__, and ours is to keep its own.
        sys.modules[module.__name__] = import_module(self.home)


class _Apps(Loader):
    """Answers Django's look for an app configuration."""

    def exec_module(self, module: ModuleType) -> None:
        from django.core.exceptions import ImproperlyConfigured  # Django is there: it asked

        raise ImproperlyConfigured(f"INSTALLED_APPS names {PACKAGE!r}, which is an alias here: write 'bgtasks'")
