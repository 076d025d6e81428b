"""What is typed, and what is printed: messages end in something to type, exit codes are those of the documentation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bgtasks import __version__
from bgtasks.management.verbs import VERBS as PROJECT_VERBS
from bgtasksd.cli import main
from bgtasksd.cli.health import text_of
from bgtasksd.cli.parser import build
from bgtasksd.facts import blank
from bgtasksd.option_table import TABLE
from bgtasksd.status import Sight
from tests.bgtasksd.example import status_facts
from tests.bgtasksd.serving import served

REPOSITORY = Path(__file__).parents[2]
SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["bgtasks"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
"""
RUNNABLE = 'INSTALLED_APPS = ["django.contrib.contenttypes", "bgtasks"]\n'
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "shop").mkdir()
    (tmp_path / "manage.py").write_text(MANAGE)
    write_settings(tmp_path, "")
    return tmp_path


def write_settings(project: Path, more: str) -> None:
    (project / "shop" / "settings.py").write_text(SETTINGS + more)


@pytest.fixture
def run(project) -> Run:
    """Return a function that runs `bgtasksd` in the project, without anything of our own environment."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BGTASKS", "DJANGO"))}
        kept |= {"PYTHONPATH": str(REPOSITORY), "BGTASKSD_RUNTIME_DIR": str(project / "run"), **environ}
        return subprocess.run(
            [sys.executable, "-m", "bgtasksd", *arguments],
            cwd=project, env=kept, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


def checked(run: Run, *arguments: str, **environ: str) -> dict[str, Any]:
    """Return the options and sources that --check-config shows."""
    ended = run("start", "--check-config", "--json", *arguments, **environ)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    shown: dict[str, Any] = json.loads(ended.stdout)
    return shown


# -- what is typed


def test_the_version(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"bgtasksd {__version__}\n"


@pytest.mark.parametrize("verb", ["", "start", "status", "stop", "check", "healthcheck", "install-systemd"])
def test_every_verb_has_help_with_examples(capsys, verb) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"] if verb else ["--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "examples:" in told
    assert f"bgtasksd {verb}" in told


def test_the_help_of_start_names_every_option_with_its_variable(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["start", "--help"])
    told = capsys.readouterr().out.replace("\n", " ")
    for option in TABLE:
        assert option.flag in told
        assert option.variable in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["strat"], "did you mean 'start'?"),
        (["start", "--worker", "4"], "did you mean '--workers'?"),
        (["start", "--workers", "many"], "'many' is not a whole number"),
        (["start", "--max-age", "1 fortnight"], "write seconds, or 90s, 5m, 1h30m, 2d"),
        (["start", "--max-memory", "lots"], "write bytes, or 300M, 1.5G"),
        (["start", "--log-format", "xml"], "not one of text, json"),
        (["start", "--queues", ","], "not a list of names"),
        (["start", "--queue", "ma*il"], "`*` stands only at the end"),
        (["start", "--queue", "mail:0"], "a number of workers, one or more"),
        (["start", "--queue", "!"], "'!' names no queue"),
        (["pause", "--for", "soon"], "write seconds, or 90s, 5m, 1h30m, 2d"),
        (["status", "--max-oldest", "x"], "bgtasksd status --help"),
        (["--quiet"], "bgtasksd --help"),
    ],
)
def test_what_is_not_understood_ends_with_2_and_what_to_type(capsys, arguments, said) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert said in told.out + told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["tasks", "list", "--name", "\udcff"],
        ["tasks", "list", "--queue", "mail,\udcff"],
        ["tasks", "retry", "--all", "--error", "no \udcff"],
        ["pause", "\udcff", "--new"],
        ["pause", "mail", "--new", "--reason", "\udcff"],
        ["resume", "\udcff"],
        ["import-legacy", "--database", "\udcff"],
        ["import-django-q", "--map", "\udcff=a.b"],
    ],
)
def test_what_is_not_utf_8_is_refused_before_a_database_is_asked(run, arguments) -> None:
    told, as_json = run(*arguments), run(*arguments, "--json")
    assert (told.returncode, as_json.returncode, as_json.stderr) == (2, 2, "")
    assert "' is not UTF-8: write it in that encoding\n" in told.stderr
    assert f"argument {arguments[-2] if '--' in arguments[-2] else 'QUEUE'}: " in told.stderr
    assert json.loads(as_json.stdout)["error"]["code"] == "usage"


def test_every_value_of_a_verb_that_asks_the_database_is_read() -> None:
    _, parsers = build()
    verbs = [parser for name, parser in parsers.items() if name.split()[0] in PROJECT_VERBS]
    values = [each for parser in verbs for each in parser._actions if each.nargs != 0 and each.choices is None]
    assert [each.dest for each in values if each.type is None] == []
    assert len(values) > 50


def test_errors_are_json_where_json_is_asked_for(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["status", "--json", "--max-odlest", "1"])
    told = json.loads(capsys.readouterr().out)
    assert told["schema_version"] == 1
    assert told["error"]["code"] == "usage"
    assert told["error"]["fix"] == "did you mean '--max-oldest'?"


# -- where values come from


def test_the_command_line_wins_then_the_environment_then_the_settings(project, run) -> None:
    write_settings(project, 'BGTASKS = {"MAX_AGE": "1h30m", "WORKERS": 3, "QUEUES": ["a", "b"], "MAX_MEMORY": "300M"}')
    shown = checked(run, "--workers", "5", BGTASKSD_WORKERS="4", BGTASKSD_QUEUES="mail, web")
    options, sources = shown["options"], shown["sources"]
    assert (options["workers"], sources["workers"]) == (5, "--workers")
    assert (options["queues"], sources["queues"]) == (["mail", "web"], "BGTASKSD_QUEUES")
    assert (options["max_age"], sources["max_age"]) == (5400.0, "BGTASKS['MAX_AGE']")
    assert (options["max_memory"], sources["max_memory"]) == (300 * 1024**2, "BGTASKS['MAX_MEMORY']")
    assert (options["sleep"], sources["sleep"]) == (5.0, "default")


def test_numbers_of_workers_with_queues_are_the_number_of_workers(project, run) -> None:
    shown = checked(run, "--queue", "mail,sms:2", "--queue", "*:3")
    assert shown["options"]["queues"] == ["mail,sms:2", "*:3"]
    assert (shown["options"]["workers"], shown["sources"]["workers"]) == (5, "--queues")
    write_settings(project, 'BGTASKS = {"WORKERS": 9, "QUEUES": ["mail", "sms"]}')
    assert checked(run, "--queue", "*:3")["options"]["workers"] == 3
    assert checked(run, BGTASKSD_QUEUES="mail:1; *,!mail:3")["options"]["workers"] == 4
    assert checked(run, "--workers", "3", BGTASKSD_QUEUES="mail:1;*:2")["sources"]["workers"] == "--workers"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--queue", "mail:2", "--workers", "4"], "--workers says 4 workers, but the numbers with the queues"),
        (["--workers", "3"], "(mail:1, *:1) make 2. Leave --workers away"),
        (["--queue", "mail:2", "--queue", "sms"], "--queues: 'sms' says no number of workers, and others do"),
        (["--queues", "mail", "--queue", "!mail"], "--queues: 'mail,!mail' leaves no queue to serve"),
        (["--queue", "mail:1025"], "--queues: 1,025 workers on one host"),
    ],
)
def test_numbers_of_workers_that_do_not_agree_are_refused(project, run, arguments, said) -> None:
    write_settings(project, 'BGTASKS = {"WORKERS": 2, "QUEUES": ["mail:1", "*:1"]}')
    ended = run("start", "--check-config", *arguments)
    assert ended.returncode == 78
    assert said in ended.stderr


def test_wrong_queues_in_the_settings_are_refused_with_what_to_write(project, run) -> None:
    write_settings(project, 'BGTASKS = {"QUEUES": "ma*il"}')
    ended = run("start", "--check-config")
    assert ended.returncode == 78
    assert "BGTASKS['QUEUES']: 'ma*il': `*` stands only at the end" in ended.stderr


def test_every_option_can_be_a_variable_and_a_key(project, run) -> None:
    keys = {
        "WORKERS": 3, "QUEUES": ["a"], "SLEEP": 2, "MAX_AGE": 7, "MAX_MEMORY": 2**30, "MAX_TASKS": 9, "MAX_RUN_TIME": 8,
        "MAX_MEMORY_KILL": 2**31, "PRELOAD": "none", "STRAYS": "report", "ON_FAILED": "exit", "STATUS_SOCKET": True,
        "CONCURRENCY": 5,
        "DRAIN_TIMEOUT": 6, "LOG_FILE": "/tmp/x.log", "LOG_FORMAT": "json", "DAEMON": True, "HTTP": "127.0.0.1:8080",
    }  # fmt: skip
    assert set(keys) == {option.key for option in TABLE if option.is_key}
    write_settings(project, f"BGTASKS = {keys!r}")
    from_settings = checked(run)["options"]
    write_settings(project, "")
    variables = {f"BGTASKSD_{key}": "a" if key == "QUEUES" else str(value) for key, value in keys.items()}
    from_environment = checked(run, **variables)["options"]
    assert from_settings == from_environment
    for key, value in keys.items():
        assert from_settings[key.lower()] == value


def test_zero_means_no_limit_and_the_heritage_setting_counts(project, run) -> None:
    write_settings(project, "MAX_RUN_TIME = 120")
    options = checked(run, "--max-age", "0", BGTASKSD_MAX_TASKS="0")["options"]
    assert (options["max_age"], options["max_tasks"], options["max_run_time"]) == (None, None, 120)
    assert checked(run, "--max-run-time", "0")["options"]["max_run_time"] is None
    write_settings(project, 'BGTASKS = {"MAX_RUN_TIME": None}')
    shown = checked(run)
    assert (shown["options"]["max_run_time"], shown["sources"]["max_run_time"]) == (None, "BGTASKS['MAX_RUN_TIME']")


def test_without_settings_of_ours_everything_is_a_default(run) -> None:
    sources = checked(run)["sources"]
    assert {name: source for name, source in sources.items() if source != "default"} == {
        "runtime_dir": "BGTASKSD_RUNTIME_DIR"
    }


def test_an_empty_variable_gives_nothing(run) -> None:
    assert checked(run, BGTASKSD_QUEUES="", BGTASKSD_WORKERS="")["sources"]["queues"] == "default"


def test_check_config_tells_people_too_and_starts_nothing(project, run) -> None:
    ended = run("start", "--check-config", "--workers", "2")
    assert ended.returncode == 0
    assert "workers        2                              --workers" in ended.stdout.splitlines()
    assert ended.stdout.endswith("the configuration is good\n")
    assert list((project / "run").iterdir()) == []


def test_the_settings_are_found_and_their_source_is_told(project, run) -> None:
    below = project / "shop" / "deep"
    below.mkdir()
    assert checked(run, "--chdir", str(below))["options"]["settings"] == "shop.settings"
    assert checked(run, "--settings", "shop.settings")["sources"]["settings"] == "--settings"


# -- what is wrong before anything runs


@pytest.mark.parametrize(
    ("name", "said", "fix"),
    [
        ("db.sqlite3", "no such table: bgtasks_task", "python manage.py migrate"),
        ("/nowhere/bgtasks_prod/db.sqlite3", "unable to open database file", "python manage.py dbshell"),
    ],
)
@pytest.mark.parametrize("arguments", [["tasks", "list"], ["tasks", "show", "1"], ["prune", "--dry-run"]])
def test_a_database_that_cannot_answer_is_told_with_what_to_do(project, run, arguments, name, said, fix) -> None:
    write_settings(project, f'{RUNNABLE}DATABASES["default"]["NAME"] = "{name}"')
    told = run(*arguments)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.splitlines()[0].startswith(f"bgtasksd: the database: {said.partition(':')[0]}")
    assert told.stderr.splitlines()[1:] == [f"          {fix}"]
    as_json = run(*arguments, "--json")
    error = json.loads(as_json.stdout)["error"]
    assert (as_json.returncode, as_json.stderr, error["code"], error["fix"]) == (1, "", "database", fix)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('BGTASKS = {"MAX_AGEE": 5}', "Did you mean: BGTASKS['MAX_AGE']"),
        ('BGTASKS = {"MAX_AGE": "soon"}', "BGTASKS['MAX_AGE']: 'soon' is not a duration"),
        ('BGTASKS = {"LEASE": 2}', "LEASE"),
        ('BGTASKS = {"DATABASE": "tasks"}', "which is not in DATABASES"),
        ("INSTALLED_APPS = []", "add 'bgtasks' to INSTALLED_APPS"),
    ],
)
@pytest.mark.parametrize("verb", [["start", "--check-config"], ["tasks", "list"], ["pause"]])
def test_wrong_settings_end_with_78_and_no_traceback(project, run, more, said, verb) -> None:
    write_settings(project, f"{RUNNABLE}{more}")
    ended = run(*verb)
    assert ended.returncode == 78, ended.stderr
    assert said in ended.stderr
    assert "shop.settings, found by ./manage.py" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError"),
    ],
)
@pytest.mark.parametrize("verb", [["start"], ["tasks", "list"], ["prune"]])
def test_settings_that_raise_show_the_users_own_traceback(project, run, more, said, verb) -> None:
    write_settings(project, more)
    ended = run(*verb)
    assert ended.returncode == 78
    assert said in ended.stderr
    assert "settings.py" in ended.stderr
    assert "(settings shop.settings, found by ./manage.py)" in ended.stderr
    for machinery in ("importlib", "bgtasksd/", "django/conf", "django/utils"):
        assert machinery not in ended.stderr
    if verb != ["start"]:
        error = json.loads(run(*verb, "--json").stdout)["error"]
        assert (error["code"], f"bgtasksd: {error['message']}\n") == ("configuration", ended.stderr)


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ('INSTALLED_APPS += ["nowhere"]', 70, "cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ('INSTALLED_APPS += ["shop.Missing"]', 70, "Module 'shop' does not contain a 'Missing' class."),
        ('INSTALLED_APPS = ["bgtasks"]', 70, "loaded: RuntimeError: Model class django.contrib.contenttypes"),
        ('INSTALLED_APPS += ["shop", "shop"]', 78, "Application labels aren't unique"),
    ],
)
def test_an_application_that_cannot_be_loaded_is_told_without_our_part(project, run, more, code, said) -> None:
    write_settings(project, f"{RUNNABLE}{more}")
    ended = run("tasks", "list")
    assert (ended.returncode, ended.stdout) == (code, "")
    assert said in ended.stderr
    for machinery in ("importlib", "bgtasksd/", "django/apps"):
        assert machinery not in ended.stderr


def test_settings_that_kill_their_process_are_named(project, run) -> None:
    write_settings(project, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    ended = run("start")
    assert ended.returncode == 78
    assert "shop.settings ended with exit code -9" in ended.stderr


def test_the_child_that_reads_settings_ends_without_a_word_when_who_asked_is_gone(project) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", "import sys; from bgtasksd.settings_child import main; main(*sys.argv[1:])",
         str(project), "shop.settings", str(writer), str(os.getpid())],
        cwd=REPOSITORY, pass_fds=[writer], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "more",
    [
        'import subprocess as s; s.Popen(["sleep", "20"], close_fds=False, stdout=s.DEVNULL, stderr=s.DEVNULL)',
        "import threading, time; threading.Thread(target=time.sleep, args=(20,)).start()",
    ],
)
def test_what_settings_start_does_not_hold_the_start(project, run, more) -> None:
    write_settings(project, more)
    began = time.monotonic()
    assert run("start", "--check-config", "--json").returncode == 0
    assert time.monotonic() - began < 15


def test_what_settings_print_is_not_data(project, run) -> None:
    write_settings(project, 'print("hello from the settings")')
    assert checked(run)["options"]["workers"] > 0


@pytest.mark.parametrize("verb", [["start"], ["tasks", "list"], ["resume", "mail"]])
def test_a_missing_settings_module_is_named_without_a_traceback_of_ours(run, verb) -> None:
    ended = run(*verb, "--settings", "nowhere.settings")
    assert ended.returncode == 78
    assert "No module named 'nowhere'" in ended.stderr
    assert "bgtasksd/" not in ended.stderr


def test_no_project_at_all_ends_with_2_and_four_ways(tmp_path, run) -> None:
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    ended = run("start", "--chdir", str(tmp_path / "empty"))
    assert ended.returncode == 2
    assert "four ways" in ended.stderr


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"BGTASKSD_MAX_AGE": "soon"}, "BGTASKSD_MAX_AGE: 'soon' is not a duration"),
        ({"BGTASKSD_INSTANCE": "a/b"}, "instance"),
        ({"BGTASKSD_DAEMON": "maybe"}, "BGTASKSD_DAEMON"),
        ({"BGTASKSD_CHDIR": "/nowhere/at/all"}, "No such file"),
        ({"BGTASKSD_SLEEP": "0"}, "BGTASKSD_SLEEP: the wait"),
        ({"BGTASKSD_WORKERS": "40000"}, "BGTASKSD_WORKERS: 40,000 workers on one host are more than 1,024"),
        ({"BGTASKSD_LOG_FILE": "/nowhere/at/all.log"}, "/nowhere/at/all.log: there is no directory /nowhere/at"),
        ({"BGTASKSD_LOG_FILE": "/tmp"}, "the log /tmp: it is a directory"),
        ({"BGTASKSD_RUNTIME_DIR": "/x" * 60}, "107"),
    ],
)
def test_a_wrong_environment_ends_with_78(run, environ, said) -> None:
    ended = run("start", "--check-config", **environ)
    assert ended.returncode == 78
    assert said in ended.stderr


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_check_config_names_a_variable_that_is_no_option_as_the_start_does(run, as_json) -> None:
    ended = run("start", "--check-config", *as_json, BGTASKSD_WORKER="3")
    assert ended.returncode == 0
    assert "BGTASKSD_WORKER is no option and changes nothing; did you mean BGTASKSD_WORKERS?" in ended.stderr
    assert "BGTASKSD_WORKER " not in ended.stdout


# -- what status and stop print


def test_status_as_text() -> None:
    facts = status_facts()
    facts["started_at"] = "2026-11-21T09:12:04Z"
    since = datetime.now(UTC) - timedelta(minutes=12)
    facts["queues"][1]["oldest_ready_age_s"] = None
    facts["queues"][2]["pause"]["since"] = since.isoformat()
    clock = datetime(2026, 11, 21, 9, 12, tzinfo=UTC).astimezone().strftime("%H:%M")
    assert text_of(Sight("answered", Path("/run/x"), facts)).split("\n") == [
        f"● bgtasksd 1.0.0 running since {clock} (2 h 51 min), pid 4700, mysite.settings",
        "  workers  2/2 up   1 busy   recycled 3 (2 age, 1 memory)   crashed 0",
        "  queues   default  96 ready, oldest 3.1 s     mail  32 ready     reports  PAUSED by ana, 12 min",
        "  last hr  4,812 done   19 failed (0.4 %)   6 retried   0 reclaimed",
        "  database postgresql, last contact 0.8 s ago",
        "  task     shop.tasks.import_orders 48214  340 of 1,000 (34 %), writing   2.4 s",
        "  ! mail: oldest task has waited 4.2 s, target 2 s                             bgtasksd scale mail=2",
    ]


def test_status_says_who_serves_what_and_how_long_a_pause_lasts() -> None:
    facts = status_facts()
    facts["workers"][0]["queues"] = ["mail*", "!mail-bulk"]
    facts["queues"][2]["pause"]["until"] = (datetime.now(UTC) + timedelta(minutes=18, seconds=5)).isoformat()
    facts["queues"][2]["pause"]["since"] = (datetime.now(UTC) - timedelta(minutes=12)).isoformat()
    lines = text_of(Sight("answered", Path("/run/x"), facts)).split("\n")
    assert lines[2] == "           mail*,!mail-bulk  1/1 up, 1 busy     *  1/1 up"
    assert lines[3].endswith("reports  PAUSED by ana, 12 min, 18 min left")


def test_the_names_of_queues_cannot_move_the_cursor_or_break_the_line() -> None:
    facts = status_facts()
    facts["queues"][0]["name"] = "a\nb\x1b[2J"
    facts["queues"][2]["pause"]["by"] = "\x1b]0;ana"
    facts["problems"][0]["message"] = "waits\x1b[31m\n"
    text = text_of(Sight("answered", Path("/run/x"), facts))
    assert "\x1b" not in text
    assert len(text.split("\n")) == 7


def test_status_of_a_daemon_that_knows_little_yet() -> None:
    facts = {
        **blank("default", "starting"),
        "pid": 1,
        "version": "1.0",
        "settings": "s",
        "workers_target": 4,
        "uptime_s": 0.5,
    }
    text = text_of(Sight("answered", Path("/run/x"), facts))
    assert "starting (0.5 s)" in text
    assert "0/4 up" in text
    assert "none known yet" in text


def test_a_capped_count_and_a_lost_database_are_told() -> None:
    facts = status_facts()
    facts["queues"][0]["ready"] = 10001
    facts["database"]["reachable"] = False
    text = text_of(Sight("answered", Path("/run/x"), facts))
    assert "default  10,000+ ready" in text
    assert "postgresql, UNREACHABLE, last contact 0.8 s ago" in text


@pytest.mark.parametrize("situation", ["not_running", "died", "silent", "forbidden"])
def test_silence_is_told_in_one_line_that_ends_in_a_command(situation) -> None:
    text = text_of(Sight(situation, Path("/run/x"), blank("default", "unknown"), 4711))
    assert "\n" not in text
    assert "/run/x" in text or "4711" in text
    assert text.split("  ")[-1].strip().startswith(("bgtasksd start", "kill -QUIT 4711", "sudo bgtasksd status"))


def served_status(project: Path, **changes: Any) -> Any:
    (project / "run").mkdir(exist_ok=True)
    return served(project / "run", {"status": lambda request: {**status_facts(), **changes}})


def test_status_says_it_in_text_json_and_by_its_exit_code(project, run) -> None:
    with served_status(project):
        assert run("status").stdout.startswith("● bgtasksd 1.0.0 running")
        assert json.loads(run("status", "--json").stdout) == status_facts()
        assert run("status", "-q").stdout == ""
        assert run("status").returncode == 0
        assert run("status", "--strict").returncode == 1
        assert run().stdout.startswith("● bgtasksd 1.0.0 running"), "without a verb, too"
        assert json.loads(run("--json").stdout) == status_facts()
        passed = run("status", "--json", "--min-workers", "4")
    assert passed.returncode == 1
    told = json.loads(passed.stdout)
    assert (told["state"], told["problems"][0]["code"]) == ("degraded", "workers_too_few")


def test_colour_only_where_it_is_forced_or_a_terminal(project, run) -> None:
    with served_status(project):
        assert "\x1b[" not in run("status").stdout
        assert "\x1b[" in run("status", FORCE_COLOR="1").stdout
        assert "\x1b[" not in run("status", "--no-color", FORCE_COLOR="1").stdout


def test_not_running(run) -> None:
    ended = run("status")
    assert ended.returncode == 3
    assert "not running" in ended.stdout
    assert json.loads(run("status", "--json").stdout)["state"] == "not_running"
    assert run("status", BGTASKSD_INSTANCE="a/b").returncode == 2
    stopped = run("stop", "--json")
    assert stopped.returncode == 3
    assert json.loads(stopped.stdout)["error"]["code"] == "not_running"


def test_what_would_start_it_names_the_daemon_that_was_asked_for(run, project) -> None:
    def said(*arguments: str, **environ: str) -> str:
        told = run("status", *arguments, BGTASKSD_RUNTIME_DIR="", **environ).stdout
        return told[told.index("bgtasksd start") :].strip()

    assert said() == "bgtasksd start"
    assert said("--instance", "shop") == said(BGTASKSD_INSTANCE="shop") == "bgtasksd start --instance shop"
    place = project / "my run"
    assert said("--runtime-dir", str(place)) == f"bgtasksd start --runtime-dir '{place}'"
    assert said("--instance", "shop", "--runtime-dir", "run") == (
        f"bgtasksd start --instance shop --runtime-dir {project / 'run'}"
    )


@pytest.mark.skipif(Path("/run/bgtasksd").exists(), reason="there the place is the system's")
def test_of_an_instance_that_was_never_started_the_place_is_named_where_it_would_be(run, project) -> None:
    nowhere = {"BGTASKSD_RUNTIME_DIR": "", "XDG_RUNTIME_DIR": "", "HOME": str(project)}
    assert f"instance shop, {project / '.bgtasksd' / 'shop'} " in run("status", "--instance", "shop", **nowhere).stdout
    assert not (project / ".bgtasksd").exists()


def test_without_a_verb_and_a_daemon_the_help_is_shown(run) -> None:
    ended = run()
    assert ended.returncode == 0
    assert "bgtasksd start --workers 4" in ended.stdout


def test_a_reader_that_has_gone_is_no_traceback(project) -> None:
    ended = subprocess.run(
        f"{sys.executable} -m bgtasksd --runtime-dir {project / 'run'} status --json | true",
        shell=True, check=False, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert ended.stderr == ""


def test_stop_waits_for_the_end_and_says_so(project, run) -> None:
    (project / "run").mkdir()
    import threading

    def stop(request: dict[str, Any]) -> dict[str, Any]:
        threading.Timer(0.2, lambda: loop.todo.put(end)).start()
        return {"change": 1, "workers": 4, "running": 2, "drain_timeout": 60.0}

    def end() -> None:
        loop.server.tell(1, ok=True, data={"given_back": 1})
        loop.server.close()
        loop.is_over = True

    commands = {"status": lambda request: status_facts(), "stop": stop}
    with served(project / "run", commands) as loop:
        ending = threading.Thread(target=lambda: answers.append(run("stop")))
        answers: list[subprocess.CompletedProcess[str]] = []
        ending.start()
        while not loop.is_over:
            loop.todo.empty()
    ending.join()
    assert answers[0].returncode == 0
    assert answers[0].stderr == "4 workers, 2 tasks running…\n"
    assert answers[0].stdout.startswith("stopped in ")
    assert answers[0].stdout.endswith(" s, 1 task given back\n")


def test_a_daemon_that_ends_before_the_order_reaches_it_is_stopped(project, run) -> None:
    (project / "run").mkdir()

    def answer_and_go(request: dict[str, Any]) -> dict[str, Any]:
        loop.todo.put(loop.server.close)  # somebody else's stop is a little ahead
        loop.is_over = True
        return status_facts()

    with served(project / "run", {"status": answer_and_go}) as loop:
        ended = subprocess.Popen([sys.executable, "-m", "bgtasksd", "--runtime-dir", str(project / "run"), "stop"])
        while not loop.is_over:
            time.sleep(0.01)
    assert ended.wait(60) == 0


def test_stop_gives_up_after_its_timeout(project, run) -> None:
    (project / "run").mkdir()
    answer = {"workers": 1, "running": 1, "drain_timeout": 60.0}
    with served(project / "run", {"status": lambda request: status_facts(), "stop": lambda request: answer}):
        ended = run("stop", "--timeout", "300ms")
        as_json = run("stop", "--timeout", "100ms", "--json")
    assert ended.returncode == 1
    assert "not stopped after" in ended.stderr
    assert json.loads(as_json.stdout) == {"stopped": False, "given_back": None}


@pytest.mark.parametrize(
    "arguments",
    [["reload", "--wait"], ["scale", "3", "--wait"], ["retire", "--wait"], ["kill", "1", "--wait"], ["drain"]],
)
def test_a_change_that_is_not_over_in_time_is_said_to_go_on(project, run, arguments) -> None:
    (project / "run").mkdir()
    groups = [{"queues": "*", "before": 1, "workers": 3}]
    scaled = {"groups": groups, "workers_before": 1, "workers_target": 3}
    answer = {"change": 1, "running": 1, "workers": [{"slot": 1, "pid": 4711}], **scaled}
    commands = {name: lambda request: answer for name in ("reload", "scale", "retire", "kill", "drain")}
    with served(project / "run", {"status": lambda request: status_facts(), **commands}):
        told = run(*arguments, "--timeout", "300ms")
        as_json = run(*arguments, "--timeout", "300ms", "--json")
    assert (told.returncode, as_json.returncode) == (1, 1)
    assert f"{arguments[0]} is not over after 0.3 s; it goes on" in told.stderr
    assert json.loads(as_json.stdout.splitlines()[-1])["error"]["code"] == "timeout"


@pytest.mark.parametrize(
    "arguments", [["status"], ["status", "--json"], ["version"], ["completion", "bash"], ["check"]]
)
def test_an_answer_that_cannot_be_written_is_told_without_a_traceback(tmp_path, arguments) -> None:
    command = [sys.executable, "-m", "bgtasksd", "--runtime-dir", str(tmp_path), *arguments]
    told = {}
    for redirection in (">/dev/full", ">&-", ">&- <&-"):
        shell = ["sh", "-c", f'"$@" {redirection}', "sh", *command]
        told[redirection] = subprocess.run(shell, cwd=REPOSITORY, text=True, stderr=subprocess.PIPE, check=False)
    full = told.pop(">/dev/full")
    assert (full.returncode, full.stderr) == (
        1,
        "bgtasksd: the answer cannot be written: No space left on device\n",
    )
    codes = {"status": 3, "check": 2}
    assert [(each.returncode, each.stderr) for each in told.values()] == [(codes.get(arguments[0], 0), "")] * 2


@pytest.mark.parametrize(
    ("behind", "code", "told"),
    [
        ("-n 1 >/dev/full", 1, "bgtasksd: the answer cannot be written: No space left on device\n"),
        ("--interval 100ms | true", 0, ""),
    ],
)
def test_top_ends_where_nobody_can_read_it(project, behind, code, told) -> None:
    (project / "run").mkdir()
    shell = ["bash", "-o", "pipefail", "-c", f'"$0" -m bgtasksd --runtime-dir "$1" top {behind}']
    with served(project / "run", {"status": lambda request: status_facts()}):
        ended = subprocess.run(
            [*shell, sys.executable, str(project / "run")],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (code, told)


def test_what_the_encoding_of_stdout_lacks_is_escaped(tmp_path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "bgtasksd", "--runtime-dir", str(tmp_path / "läuft"), "status"]
    shown = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (3, "")
    assert shown.stdout.startswith("\\u25cb bgtasksd is not running")
    asked = subprocess.run([*command, "--json"], cwd=REPOSITORY, env=environment, capture_output=True, check=False)
    assert json.loads(asked.stdout)["state"] == "not_running"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_project_is_read_where_standard_streams_are_closed(project, closed) -> None:
    shell = f'"$0" -m bgtasksd --runtime-dir "$1" start --check-config {closed}'
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DJANGO_SETTINGS_MODULE": "shop.settings"}
    command = ["sh", "-c", shell, sys.executable, str(project / "run")]
    assert subprocess.run(command, cwd=project, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0
