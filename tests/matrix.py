"""Run every test in fresh environments: Python 3.11 with Django 5.2, and the newest Python here with Django 6.1.

python tests/matrix.py [--database …] [-- arguments of pytest]      passes all of it on to tests/databases.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.14", "3.13", "3.12", "3.11")


def main() -> int:
    """Run each pair and say how each ended."""
    endings = {}
    for python, django in (("3.11", "5.2"), (newest_python(), "6.1")):
        label = f"Python {python}, Django {django}"
        print(f"\n==== {label}", flush=True)
        interpreter = find_python(python)
        if interpreter is None:
            endings[label] = f"LEFT OUT: no Python {python} here"
            continue
        environment = prepared(interpreter, python, django)
        code = subprocess.call([environment, "tests/databases.py", *sys.argv[1:]], cwd=ROOT)
        endings[label] = "passed" if code == 0 else f"FAILED ({code})"
    print()
    for label, ending in endings.items():
        print(f"{label:<26} {ending}")
    return 0 if all(ending == "passed" for ending in endings.values()) else 1


def newest_python() -> str:
    """Return the newest version here that Django 6.1 runs on, which asks for 3.12."""
    return next((version for version in VERSIONS[:-1] if find_python(version)), "3.12")


def find_python(version: str) -> str | None:
    """Return an interpreter of this version that really runs, from the path or from pyenv."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [f"python{version}", *sorted(map(str, root.glob(f"versions/{version}.*/bin/python")), reverse=True)]
    for candidate in candidates:
        found = shutil.which(candidate)
        if found and runs(found):
            return found
    return None


def runs(interpreter: str) -> bool:
    """Tell whether this is more than a stub, and has what a virtual environment needs."""
    return subprocess.run([interpreter, "-c", "import venv, sqlite3"], capture_output=True, check=False).returncode == 0


def prepared(interpreter: str, python: str, django: str) -> str:
    """Return the interpreter of a virtual environment with everything in it, made or brought up to date."""
    folder = ROOT / f".venv-{python}-{django}"
    executable = folder / "bin" / "python"
    if not executable.exists():
        subprocess.check_call([interpreter, "-m", "venv", folder])
    install = [executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", f"Django=={django}.*"]
    subprocess.check_call([*install, "-e", ".[examples,postgres,test]"], cwd=ROOT)
    if subprocess.run([*install, "-e", ".[mysql]"], cwd=ROOT, capture_output=True, check=False).returncode:
        print("mysqlclient cannot be built here: it needs a C compiler, pkg-config and libmariadb-dev", flush=True)
    return str(executable)


if __name__ == "__main__":
    sys.exit(main())
