"""Rules of the repository that no linter knows: names of files, and which file may do what."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bgtasks", "bgtasksd")
SOURCES = sorted(path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py"))

TOP_LEVEL = {
    *(".ci", ".gitignore", ".pre-commit-config.yaml", "bgtasks", "bgtasksd", "systemd", "tests", "docs", "examples"),
    *("benchmarks", "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "LICENSE"),
}
NAMES_WITHOUT_A_SUBJECT = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "base",
    "core",
    "manager",
    "managers",
    "handlers",
    "misc",
}
KNOWS_THE_VENDOR = ("bgtasks/queue/", "bgtasks/migrations/")
WRITES_STATUS = ("bgtasks/queue/", "bgtasks/models/", "bgtasks/migrations/", "bgtasks/compat/foreign_tables.py")
"""The last one writes the tables of another package."""
CALLS_THE_SYSTEM = (
    *("bgtasksd/children/", "bgtasksd/scoreboard/", "bgtasksd/systemd.py", "bgtasksd/lock.py"),
    *("bgtasks/identity.py", "bgtasks/queue/turnstile.py"),
)
PRINTS = ("bgtasks/output/", "bgtasks/output.py", "bgtasksd/cli")


def committed() -> list[str]:
    """Return the files of the repository; without git there is nothing to check them against."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git repository")
    return listed.stdout.splitlines()


def attributes(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every attribute that a file touches, as line and dotted text."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Attribute):
            yield node.lineno, ast.unparse(node)


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every call in a file, as line and dotted text."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def outside(allowed: tuple[str, ...]) -> list[Path]:
    """Return the sources that do not lie in one of these folders."""
    return [path for path in SOURCES if not str(path).startswith(allowed)]


def test_the_top_level_holds_what_the_design_names_and_nothing_else() -> None:
    assert {name.partition("/")[0] for name in committed()} <= TOP_LEVEL


def test_no_file_is_a_link() -> None:
    """Archives, copies and some checkouts make plain files of them, and what they led to is missed much later."""
    assert not [name for name in committed() if (ROOT / name).is_symlink()]


def test_every_file_is_named_after_a_subject() -> None:
    nameless = [path for path in SOURCES if path.stem.strip("_") in NAMES_WITHOUT_A_SUBJECT]
    assert not nameless


def test_only_the_engines_and_the_migrations_ask_which_database_it_is() -> None:
    found = []
    for path in outside(KNOWS_THE_VENDOR):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            decides = isinstance(node, (ast.Compare, ast.Subscript, ast.Match, ast.If, ast.IfExp))
            asked = node.slice if isinstance(node, ast.Subscript) else getattr(node, "test", node)
            if decides and ".vendor" in ast.unparse(asked).partition("\n")[0]:
                found.append(f"{path}:{node.lineno}")
    assert not found


def test_only_the_queue_writes_tasks() -> None:
    written = re.compile(
        r"(\.save|\.bulk_create|\.bulk_update|\.update_or_create|(objects|queryset|rows|tasks)\b.*\.(update|create))$"
    )
    found = [f"{path}:{line}" for path in outside(WRITES_STATUS) for line, text in calls(path) if written.search(text)]
    assert not found


def test_nothing_but_the_queue_assigns_a_status() -> None:
    found = []
    for path in outside(WRITES_STATUS):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else []
            found += [
                f"{path}:{node.lineno}"
                for target in targets
                if ast.unparse(target).endswith(("task.status", "row.status"))
            ]
    assert not found


def test_operating_system_calls_live_in_few_files() -> None:
    system = re.compile(
        r"^(os\.(fork|forkpty|kill|killpg|wait\w*|posix_spawn\w*)|fcntl\.(flock|lockf)|signal\.pidfd_send_signal)$"
    )
    found = [
        f"{path}:{line} {text}"
        for path in outside(CALLS_THE_SYSTEM)
        for line, text in calls(path)
        if system.match(text)
    ]
    assert not found


def test_the_daemon_starts_no_threads() -> None:
    starts = re.compile(r"(^|\.)(Thread|Timer|ThreadPoolExecutor|start_new_thread)$")
    daemon = [path for path in SOURCES if path.parts[0] == "bgtasksd"]
    assert not [f"{path}:{line} {text}" for path in daemon for line, text in calls(path) if starts.search(text)]


def test_only_output_and_the_command_line_print() -> None:
    assert not [f"{path}:{line}" for path in outside(PRINTS) for line, text in calls(path) if text == "print"]


def test_the_sources_are_short_enough_to_be_read() -> None:
    long = {str(path): count for path in SOURCES if (count := (ROOT / path).read_text().count("\n")) > 300}
    assert not long


def test_no_file_names_a_machine() -> None:
    private = re.compile(
        r"(?<![\w.])/(root|work)/|https?://(?!127\.0\.0\.1|localhost|keepachangelog|semver|json-schema)[\w.-]*(pypi|index)"
    )
    found = []
    for name in committed():
        path = ROOT / name
        if path.is_file() and name != "tests/test_repository.py":
            found += [f"{name}: {match[0]}" for match in private.finditer(path.read_text(errors="replace"))]
    assert not found
