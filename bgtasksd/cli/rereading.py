"""The options of a running daemon read once more: as it was started, with the settings as they are now."""

from __future__ import annotations

import json
import os

from bgtasksd.cli.configuration import Origin, Unusable, configure


def reread(origin: Origin, output: int) -> int:
    """Write options and database to the descriptor, as JSON, or what is wrong; return the exit code. In a child."""
    try:
        os.chdir(origin.directory)
        found = configure(origin.typed, dict(origin.environ))
    except (Unusable, OSError) as error:
        _write(output, str(error))
        return 1
    _write(output, json.dumps({"options": found.options.as_json(), "database": found.database_identity}))
    return 0


def _write(output: int, text: str) -> None:
    with os.fdopen(output, "w", closefd=False) as file:
        file.write(text)
