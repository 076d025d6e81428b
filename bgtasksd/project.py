"""Finding the project's settings module and its root, by reading files: nothing is imported, nothing is executed."""

from __future__ import annotations

import ast
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "DJANGO_SETTINGS_MODULE"
PYPROJECT_KEYS = (
    ("bgtasks", "settings"),
    ("django-stubs", "django_settings_module"),
    ("pytest.ini_options", VARIABLE),
)
"""Tables below `[tool]` and the key that names the settings, in the order they are asked."""


class ProjectNotFound(Exception):
    """No settings were found; the message says how to name them."""


@dataclass(frozen=True, slots=True)
class Project:
    """The settings module, where its name was found, and the directory that goes first on `sys.path`."""

    settings: str
    source: str
    root: Path


def find_project(settings: str | None, environ: Mapping[str, str], here: Path) -> Project:
    """Return the project around `here`. Raises ProjectNotFound, naming the four ways, when there is none."""
    if settings:
        return Project(settings, "--settings", _root_of(settings, here))
    if environ.get(VARIABLE):
        return Project(environ[VARIABLE], VARIABLE, _root_of(environ[VARIABLE], here))
    found = _from_pyproject(here) or _from_manage_py(here)
    if found is None:
        raise ProjectNotFound(_FOUR_WAYS.format(here=here))
    return found


_FOUR_WAYS = """no Django settings found in or around {here}. Name them in one of four ways:
  bgtasksd start --settings mysite.settings
  DJANGO_SETTINGS_MODULE=mysite.settings bgtasksd start
  pyproject.toml:  [tool.bgtasks]
                   settings = "mysite.settings"
  bgtasksd start --chdir /path/to/project        where manage.py is"""


def _from_pyproject(here: Path) -> Project | None:
    for directory in _upwards(here):
        path = directory / "pyproject.toml"
        tool = _tool_tables(path)
        for table, key in PYPROJECT_KEYS:
            settings = _below(tool, table).get(key)
            if isinstance(settings, str) and settings:
                return Project(settings, f"{_shown(path, here)} [tool.{table}]", _root_of(settings, directory))
    return None


def _tool_tables(path: Path) -> Mapping[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return {}
    return tables if isinstance(tables, dict) else {}


def _below(tables: Mapping[str, Any], dotted: str) -> Mapping[str, Any]:
    found: Any = tables
    for name in dotted.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _from_manage_py(here: Path) -> Project | None:
    for directory in _upwards(here):
        if found := _read_manage_py(directory / "manage.py", here):
            return found
        if directory == here and (found := _one_level_down(here)):
            return found
    return None


def _one_level_down(here: Path) -> Project | None:
    found = [project for path in sorted(here.glob("*/manage.py")) if (project := _read_manage_py(path, here))]
    if len({project.settings for project in found}) > 1:
        several = ", ".join(f"{project.settings} ({project.source})" for project in found)
        raise ProjectNotFound(f"several projects are here: {several}. Choose one: bgtasksd start --chdir DIR")
    return found[0] if found else None


def _read_manage_py(path: Path, here: Path) -> Project | None:
    try:
        named = settings_named_in(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return None
    return Project(named, _shown(path, here), path.parent) if named else None


def settings_named_in(source: str) -> str | None:
    """Return what a manage.py sets DJANGO_SETTINGS_MODULE to: by `setdefault(…)` or `environ[…] = …`; the last one."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Call, ast.Assign))]
    found = [(node.lineno, named) for node in nodes if (named := _named_by(node))]
    return max(found)[1] if found else None


def _named_by(node: ast.Call | ast.Assign) -> str | None:
    match node:
        case ast.Call(
            func=ast.Attribute(attr="setdefault"),
            args=[ast.Constant(value="DJANGO_SETTINGS_MODULE"), ast.Constant(value=str(named))],
        ):
            return named
        case ast.Assign(
            targets=[ast.Subscript(slice=ast.Constant(value="DJANGO_SETTINGS_MODULE"))],
            value=ast.Constant(value=str(named)),
        ):
            return named
    return None


def _root_of(settings: str, here: Path) -> Path:
    """Return the directory from which the settings module can be imported; `here` when none is near."""
    package = settings.partition(".")[0]
    for directory in _upwards(here):
        down = sorted(path.parent for path in here.glob(f"*/{package}")) if directory == here else []
        for root in (directory, *down):
            if (root / package).is_dir() or (root / f"{package}.py").is_file():
                return root
    return here


def _upwards(here: Path) -> Iterator[Path]:
    """Yield `here` and its parents up to the repository's top."""
    for directory in (here, *here.parents):
        if directory != here and _is_writable_by_all(directory):
            return  # a file that anybody may have put there is not to be believed
        yield directory
        if (directory / ".git").exists():
            return


def _is_writable_by_all(directory: Path) -> bool:
    try:
        return bool(directory.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True


def _shown(path: Path, here: Path) -> str:
    return f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)
