"""The throw-away child that reads the settings, so that the supervisor never imports Django. Sends JSON, then ends.

Started by dotted name, with the project's root, the settings module, a descriptor for the answer and our own pid.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from bgtasksd.reasons import in_full

PR_SET_PDEATHSIG = 1


def main(root: str, module: str, descriptor: str, parent: str) -> None:
    """Answer `{"settings": …}` or `{"error": …}` on the given descriptor; prints of the settings go to stderr."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        os._exit(1)
    os.dup2(2, 1)
    fcntl.fcntl(int(descriptor), fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # not for processes that the settings start
    sys.path.insert(0, root)
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    with suppress(BrokenPipeError), os.fdopen(int(descriptor), "w") as answer:  # who asked may just have been ended
        answer.write(json.dumps(read(module)) + "\n")
    sys.stderr.flush()
    os._exit(0)  # a thread that the settings started must not keep the reader waiting either


def read(module: str) -> dict[str, Any]:
    """Return the settings as JSON, or what is wrong with them. Whatever the settings raise is shown, never raised."""
    try:
        from django.conf import settings
    except ImportError as error:
        return {"error": f"Django cannot be imported by {sys.executable}: {error}"}
    from django.core.exceptions import ImproperlyConfigured

    try:
        settings.INSTALLED_APPS  # noqa: B018 - the first access imports the module
        return facts(settings)
    except ImproperlyConfigured as error:
        return {"error": str(error)}
    except BaseException as error:  # noqa: BLE001 - a settings module may call sys.exit()
        return {"error": f"the settings {module} cannot be imported: {in_full(error)}"}


def facts(settings: Any) -> dict[str, Any]:
    """Return the keys that options come from, and what the banner says about the project."""
    import django

    if not any("bgtasks" in app.lower() for app in settings.INSTALLED_APPS):
        return {"error": "bgtasks is not installed in the project: add 'bgtasks' to INSTALLED_APPS"}
    from bgtasks import conf

    given = conf.current()
    if given.database not in settings.DATABASES:
        return {"error": f"BGTASKS['DATABASE'] is {given.database!r}, which is not in DATABASES"}
    keys = {name: getattr(given, name) for name in _fields()}
    keys = {name: value for name, value in keys.items() if value is not None}
    if conf.is_given("MAX_RUN_TIME"):
        keys["max_run_time"] = given.max_run_time or 0
    else:
        del keys["max_run_time"]  # the one option whose key has a default: it is the option's as well
    return {
        "settings": keys,
        "django": django.get_version(),
        "time_zone": settings.TIME_ZONE,
        "database_identity": identity(settings.DATABASES[given.database]),
        "database": database(settings.DATABASES[given.database]),
    }


def _fields() -> list[str]:
    from bgtasksd.option_table import KEYS_ALONE, TABLE

    return [option.name for option in TABLE if option.is_key] + list(KEYS_ALONE)


def database(configured: dict[str, Any]) -> str:
    """Return the tasks database in the banner's words: `postgresql shop`, `sqlite3 db.sqlite3 (WAL)`."""
    vendor = str(configured.get("ENGINE", "")).rpartition(".")[2]
    name = str(configured.get("NAME", ""))
    if "/" not in name:
        return f"{vendor} {name}".strip()
    return f"{vendor} {Path(name).name}{' (WAL)' if is_wal(Path(name)) else ''}"


def identity(configured: dict[str, Any]) -> str:
    """Return what tells this database from any other, and is no secret."""
    parts = [configured.get(key) for key in ("ENGINE", "HOST", "PORT", "NAME")]
    return " ".join(str(part) for part in parts if part)


def is_wal(path: Path) -> bool:
    """Return whether an SQLite file says, in its header, that it is in WAL mode."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\x02\x02"
    except OSError:
        return False
