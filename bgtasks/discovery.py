"""Finding the task functions of a project: the `tasks` module of every app, and the modules named in the settings."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.utils.module_loading import module_has_submodule

from bgtasks import conf


def autodiscover() -> list[str]:
    """Import every task module and return their names. A module that fails to import raises its own error."""
    found = [name for config in apps.get_app_configs() if (name := _import_tasks_of(config))]
    for name in conf.current().task_modules:
        _import(name, f"remove {name!r} from BGTASKS['TASK_MODULES'] or correct it")
        found.append(name)
    return found


def _import_tasks_of(config: AppConfig) -> str | None:
    """Import the app's `tasks` module, if it has one and is not excluded."""
    excluded = conf.current().task_apps_excluded
    if config.name == "bgtasks" or config.name in excluded or config.label in excluded:
        return None
    if config.module is None or not module_has_submodule(config.module, "tasks"):
        return None
    name = f"{config.name}.tasks"
    _import(name, f"to run without it: BGTASKS['TASK_APPS_EXCLUDED'] = [{config.label!r}]")
    return name


def _import(name: str, advice: str) -> None:
    try:
        import_module(name)
    except Exception as error:
        error.add_note(f"bgtasks was importing the task module {name}; {advice}")
        raise
