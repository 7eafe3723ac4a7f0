# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scans with a wrong inventory and wrong options, and how they end, with the oldest and the newest ansible-core.

No host answers, so that a scan takes a second; what was found on them before is in the store.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.modules import findings_info
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support.controllers import Controller, controller
from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.store.samples import finding, record

INVENTORY = """
[web]
web1
web2
[db]
db1
[all:vars]
ansible_host=127.0.0.1
ansible_port=1
"""
DESCRIBED = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "0.1.0"}
TEMPLATE = "/etc/{{ lookup('pipe', 'id') }}"


# What hangs on how an ansible-core templates, chooses hosts or calls plugins is tried with the oldest in some tests.
_OLDEST = pytest.mark.parametrize("ansible", ["2.18"], indirect=True)


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


class Team:
    """Three hosts that don't answer, and a store."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self._ansible, self.directory = ansible, directory
        self.inventory = directory / "hosts"
        self.inventory.write_text(INVENTORY)
        self.state = directory / "state"
        self.database = self.state / "bulwark" / "findings.db"
        self.report = directory / "report.html"

    def run(
        self,
        *arguments: str,
        playbook: str | pathlib.Path = "bulwark.servers.scan",
        inventory: pathlib.Path | None = None,
        environment: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> subprocess.CompletedProcess[str]:
        return self._ansible.run_playbook(
            playbook,
            *arguments,
            inventory=inventory or self.inventory,
            extra_vars={"bulwark_report_path": str(self.report), **variables},
            state=self.state,
            environment={"BULWARK_STORE": "", "ANSIBLE_NOCOLOR": "1", **(environment or {})},
            check=False,
        )

    def found(self, *hosts: str, severity: str = "high", subject: str = "/etc/passwd") -> None:
        """Record a finding of each host, as an earlier run did."""
        with self.store() as store:
            for host in hosts:
                record(store, 100, [finding(subject, host=host, severity=severity)], host=host)

    @contextlib.contextmanager
    def store(self) -> t.Iterator[Store]:
        with contextlib.closing(Store.open(f"sqlite:///{self.database}")) as store:
            yield store

    def is_untouched(self) -> bool:
        return not self.state.exists() and not self.report.exists()


@pytest.fixture
def team(ansible: Controller, tmp_path: pathlib.Path) -> Team:
    return Team(ansible, tmp_path)


def said(answer: subprocess.CompletedProcess[str]) -> str:
    return answer.stdout + answer.stderr


def test_a_pattern_that_matches_no_host_fails(team: Team) -> None:
    for arguments, variables, message in (
        ([], {"bulwark_hosts": "wob"}, f"no host matches 'wob' in the inventory {team.inventory}; did you mean web?"),
        (["--limit", "db"], {"bulwark_hosts": "web"}, "no host matches 'web' within the limit 'db' in the inventory"),
        (["--limit", "nope"], {}, "leaves us with no hosts to target"),
    ):
        answer = team.run(*arguments, **variables)
        assert answer.returncode in (1, 4)
        assert message in said(answer)
        assert team.is_untouched()


def test_an_inventory_that_is_not_there_fails(team: Team) -> None:
    answer = team.run(inventory=team.directory / "missing.yml")
    assert answer.returncode in (1, 4)
    assert f"no host matches 'all' in the inventory {team.directory}/missing.yml; correct" in said(answer)
    assert team.is_untouched()


def test_patterns_limits_and_lists_that_match_are_taken(team: Team) -> None:
    (team.directory / "some").write_text("web2\n")
    for arguments, variables, hosts in (
        (["--limit", f"@{team.directory}/some"], {}, {"web2"}),
        (["--limit", "!db"], {"bulwark_hosts": "web1:db"}, {"web1"}),
        ([], {"bulwark_hosts": ["web1", "db"]}, {"web1", "db1"}),
    ):
        assert team.run(*arguments, **variables).returncode == 0
        with team.store() as store:
            (newest,) = store.runs(1)
            assert {entry.host for entry in store.coverage(newest.id)} == hosts


def test_a_syntax_check_needs_no_inventory(team: Team) -> None:
    for playbook in ("bulwark.servers.scan", "bulwark.servers.report"):
        arguments = ("--syntax-check",)
        answer = team.run(*arguments, playbook=playbook, inventory=team.directory / "missing.yml")
        assert answer.returncode == 0, said(answer)


# Each job names all of its mistakes; those of another kind are only found once these are mended.
@pytest.mark.parametrize(
    ("variables", "messages"),
    [
        (
            {"bulwark_failon": "high", "bulwark_strct": True},
            [
                "There is no option 'bulwark_failon'; did you mean bulwark_fail_on?",
                "There is no option 'bulwark_strct'; did you mean bulwark_strict?",
            ],
        ),
        (
            {
                "bulwark_fail_on": "hihg",
                "bulwark_width": "wide",
                "bulwark_strict": "perhaps",
                "bulwark_become": "perhaps",
            },
            [
                "value of bulwark_fail_on must be one of: informational, low, medium, high, cri",
                "'bulwark_width' is of type",
                "'bulwark_strict' is of type",
                "'bulwark_become' is of type",
            ],
        ),
        ({"bulwark_capabilities": "file_integrty"}, ["there is no capability 'file_integrty'; the collection has "]),
        (
            {"bulwark_report_path": "/"},
            ["the report cannot be written to /: it is a directory; name the file to write"],
        ),
    ],
    ids=["misspelt", "values", "capability", "report"],
)
def test_a_wrong_option_is_found_before_anything_is_written(
    variables: dict[str, t.Any], messages: list[str], team: Team
) -> None:
    answer = team.run(**variables)
    assert answer.returncode == 2
    assert [message for message in messages if message not in said(answer)] == []
    assert team.is_untouched()


@_OLDEST
def test_a_variable_that_is_like_no_option_is_warned_of(team: Team) -> None:
    for playbook in ("bulwark.servers.scan", "bulwark.servers.report"):
        answer = team.run(playbook=playbook, bulwark_colour="red")
        assert answer.returncode == 0
        assert "'bulwark_colour' is not an option of bulwark.servers" in " ".join(said(answer).split())
        assert "bulwark_report" not in answer.stderr
    answer = team.run(playbook="bulwark.servers.report", bulwark_widht=80)
    assert answer.returncode == 2
    assert "There is no option 'bulwark_widht'; did you mean bulwark_width?" in said(answer)


def test_misspelt_variables_of_roles_are_refused_before_anything_is_done(team: Team) -> None:
    # Of a role that isn't called, as what would have it called is misspelt; of one host, and not the first.
    team.inventory.write_text(INVENTORY.replace("db1", "db1 jit_acces_ports='[{\"port\": 22}]'"))
    for playbook in ("bulwark.servers.protect", "bulwark.servers.learn"):
        answer = team.run(playbook=playbook, bulwark_learn_directory=str(team.directory / "drafts"), audit_rule=[])
        assert answer.returncode == 2
        assert "There is no option 'jit_acces_ports'; did you mean jit_access_ports?" in said(answer)
        assert "There is no option 'audit_rule'; did you mean audit_rules?" in said(answer)
        assert "UNREACHABLE" not in said(answer)


def test_capabilities_may_be_written_as_a_string(team: Team) -> None:
    assert team.run("--extra-vars", "bulwark_capabilities=file_integrity,file_integrity").returncode == 0
    with team.store() as store:
        assert {entry.capability for entry in store.coverage()} == {"file_integrity"}


def test_what_is_open_elsewhere_does_not_fail_this_run(team: Team) -> None:
    team.found("db1")
    assert team.run("--limit", "web", bulwark_fail_on="high").returncode == 0
    failed = team.run("--limit", "db1,web1", bulwark_fail_on="high")
    assert failed.returncode == 2
    assert "Open findings of severity high or higher on the hosts of this run: 1; see" in said(failed)
    assert team.run("--limit", "db1", bulwark_fail_on="critical").returncode == 0


def test_what_was_not_checked_elsewhere_does_not_fail_this_run(team: Team) -> None:
    with team.store() as store:
        store.start_run(hosts=["old"], capabilities=["file_integrity"], now=100, **DESCRIBED)
    failed = team.run("--limit", "web", bulwark_strict=True, bulwark_capabilities=["file_integrity"])
    assert failed.returncode == 2
    assert "2 of the hosts' capabilities could not be checked in full in this run; see" in said(failed)


def test_hosts_that_do_not_answer_are_shown_and_fail_a_strict_scan_only(team: Team) -> None:
    lenient = team.run()
    assert lenient.returncode == 0
    assert "not checked" in lenient.stdout
    assert "the host was unreachable" in lenient.stdout
    assert team.run(bulwark_strict=True).returncode == 2


@pytest.mark.parametrize("callback", ["ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_CALLBACKS_ENABLED", None])
def test_the_table_is_shown_once_whatever_the_callback(callback: str | None, team: Team) -> None:
    environment = {callback: "bulwark.servers.progress"} if callback else {}
    for playbook in ("bulwark.servers.scan", "bulwark.servers.report"):
        answer = team.run(playbook=playbook, environment=environment)
        assert answer.stdout.lower().count("secure score") == 1
        assert answer.stdout.count(f"Report: {team.report}") == 1


def test_check_mode_names_no_report(team: Team) -> None:
    for environment in ({}, {"ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress"}):
        answer = team.run("--check", environment=environment, bulwark_strict=True, bulwark_fail_on="low")
        assert answer.returncode == 0, said(answer)
        assert f"Report: {team.report}" not in answer.stdout
        assert not team.report.exists()
    team.found("web1")
    answer = team.run("--check", playbook="bulwark.servers.report", environment=environment)
    assert (answer.returncode, f"Report: {team.report}" in answer.stdout, team.report.exists()) == (0, False, False)


@_OLDEST
def test_wrong_options_of_a_role_fail_the_host_once_all_is_written(team: Team) -> None:
    options = {"file_integrity_priority": "hihg", "file_integrity_worker": 1}
    answer = team.run(bulwark_fail_on="high", **options)
    assert answer.returncode == 2
    wrong = (
        "value of file_integrity_priority must be one of: idle, normal, got: hihg "
        "There is no option 'file_integrity_worker'; did you mean file_integrity_workers?"
    )
    assert wrong in " ".join(said(answer).split())
    assert team.report.exists()
    with team.store() as store:
        assert all(run.finished for run in store.runs())
        reasons = {entry.entries[0]["reason"] for entry in store.coverage() if entry.capability == "file_integrity"}
    assert reasons == {wrong}


def test_a_report_of_a_store_that_is_not_there_leaves_the_old_one(team: Team) -> None:
    team.report.write_text("good")
    wrong = team.directory / "typo" / "findings.db"
    answer = team.run(playbook="bulwark.servers.report", bulwark_store=f"sqlite:///{wrong}")
    assert answer.returncode == 2
    assert f"there is no store at {wrong}; correct its URL, or let a scan create it first" in said(answer)
    assert team.report.read_text() == "good"
    assert not wrong.parent.exists()


def test_a_report_that_a_limit_leaves_out_fails(team: Team) -> None:
    team.found("web1")
    answer = team.run("--limit", "web1", playbook="bulwark.servers.report")
    assert answer.returncode in (1, 4)
    assert "no host matches 'localhost' within the limit 'web1'" in said(answer)


@pytest.mark.parametrize("hosts", [["web1"], ["web1", "web2"]])
def test_findings_are_exported_as_the_documentation_says(hosts: list[str], team: Team, tmp_path: pathlib.Path) -> None:
    team.found(*hosts, subject=TEMPLATE)
    examples = yaml.safe_load(findings_info.EXAMPLES)
    tasks = [
        task
        for task in examples
        if task["name"] in ("Ask for all findings", "Export them as OCSF events, one on a line")
    ]
    play = {"name": "Export", "hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (tmp_path / "export.yml").write_text(yaml.safe_dump([play]))
    answer = team.run(playbook=tmp_path / "export.yml")
    assert answer.returncode == 0, said(answer)
    events = [json.loads(line) for line in (tmp_path / "findings.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [schema.errors(event) for event in events] == [[]] * len(hosts)
    assert {event["unmapped"]["subject"] for event in events} == {TEMPLATE}
