"""The container files of the examples and of the documentation: what a container needs is in them."""

from __future__ import annotations

import json
import re

import pytest

from bgtasksd.option_table import TABLE
from tests.docs.pages import ROOT, blocks

DOCKERFILE = (ROOT / "examples/docker/Dockerfile").read_text()
COMPOSE = (ROOT / "examples/docker/compose.yaml").read_text()
(IN_THE_DOCS,) = blocks(ROOT / "docs/containers.md", "docker")
(DEPLOYMENT,) = blocks(ROOT / "docs/containers.md", "yaml")


@pytest.mark.parametrize("text", [DOCKERFILE, IN_THE_DOCS.text], ids=["example", "documentation"])
def test_no_shell_stands_between_docker_and_the_daemon(text) -> None:
    said = dict(re.findall(r"^(ENTRYPOINT|CMD|STOPSIGNAL) (.*)$", text, re.MULTILINE))
    assert [json.loads(said["ENTRYPOINT"]), json.loads(said["CMD"])] == [["bgtasksd"], ["start"]]
    assert said["STOPSIGNAL"] == "SIGTERM"
    (check,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", text, re.MULTILINE)
    assert json.loads(check) == ["bgtasksd", "healthcheck", "--live"]
    assert "\nUSER " in text


def test_what_is_copied_exists() -> None:
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()]
    assert len(copied) >= 6
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE, IN_THE_DOCS.text, DEPLOYMENT.text])
def test_the_variables_are_those_of_options(text) -> None:
    assert set(re.findall(r"BGTASKSD_\w+", text)) <= {option.variable for option in TABLE}


def test_the_time_to_stop_covers_the_drain() -> None:
    drain = int(re.findall(r"BGTASKSD_DRAIN_TIMEOUT: (\d+)s", COMPOSE)[0])
    assert int(re.findall(r"stop_grace_period: (\d+)s", COMPOSE)[0]) >= drain + 15
    drain = int(re.findall(r"BGTASKSD_DRAIN_TIMEOUT, value: (\d+)s", DEPLOYMENT.text)[0])
    assert int(re.findall(r"terminationGracePeriodSeconds: (\d+)", DEPLOYMENT.text)[0]) >= drain + 15


def test_the_files_are_yaml() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    services = yaml.safe_load(COMPOSE)["services"]
    assert set(services) == {"database", "migrate", "tasks", "web"}
    assert services["tasks"]["environment"]["PGHOST"] == "database"
    (container,) = yaml.safe_load(DEPLOYMENT.text)["spec"]["template"]["spec"]["containers"]
    for name, flag in (("startup", "--live"), ("liveness", "--live"), ("readiness", "--ready")):
        probe = container[f"{name}Probe"]
        assert probe["exec"]["command"] == ["bgtasksd", "healthcheck", flag]
        assert probe["timeoutSeconds"] > 5, "an answer may take that long"
