# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each finding says whether fapolicyd blocked a program; one that should run and does not is a finding of its own."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import look
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import refusals
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Denials, Record
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.unit.plugins.module_utils.app_control.test_judgement import EXECUTION, NGINX, NOW, ONE, PACKAGE, TOOL, Host
from tests.unit.plugins.plugin_utils.ocsf import samples, schema

_BLOCKED, _NONE = Denials(3, 0, 0, 2), Denials()


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def refused(program: t.Any = TOOL, denials: Denials = _BLOCKED, **others: t.Any) -> Record:
    """Return a program of which nothing ran since the last scan."""
    return Record(program, NOW - 60, NOW, [], denials=denials, newest_denied=EXECUTION, **others)


def ran(program: t.Any = TOOL, denials: Denials = _NONE, **others: t.Any) -> Record:
    fields = {"executions": 3, "new_executions": 3, "newest": EXECUTION, "newest_unexplained": EXECUTION}
    return Record(program, NOW - 60, NOW, [19_675], denials=denials, newest_denied=EXECUTION, **{**fields, **others})


@pytest.mark.parametrize(
    ("record", "disposition", "count", "message"),
    [
        (refused(), "blocked", 3, "fapolicyd blocked it 3 times since the last scan, tried by eve in /home/eve"),
        (ran(), "allowed", 3, "It ran 3 times since the last scan by eve in /home/eve"),
        (ran(denials=Denials(blocked=1)), "allowed", 4, "no package. fapolicyd blocked it once."),
        (
            ran(denials=Denials(rehearsed=3)),
            "allowed",
            3,
            "fapolicyd would have blocked it 3 times if it were not permissive.",
        ),
        (refused(is_running=True), "allowed", 3, "It ran once since the last scan"),
    ],
)
def test_a_violation_says_whether_it_was_blocked(
    host: Host, record: Record, disposition: str, count: int, message: str
) -> None:
    (finding,) = host.judge([record], PACKAGE)
    assert finding["alert"] == "app_unapproved_program"
    assert (finding["disposition"], finding["count"]) == (disposition, count)
    assert message in finding["message"]
    assert record.reported == "app_unapproved_program"
    event = events.finding(finding, catalogue.load(), samples.HOST, NOW)
    assert event["disposition"] == disposition.capitalize()
    assert schema.errors(event) == []


def test_what_was_only_refused_is_not_learned() -> None:
    never, before = refused(is_altered=True), refused(executions=1, is_altered=True)
    assert [each.program for each in look.sightings([never, before])] == [TOOL]
    assert not never.has_run


def test_approving_what_was_only_refused_ends_its_finding(host: Host) -> None:
    record = refused()
    host.judge([record], PACKAGE)
    record.denials = Denials()
    allowed = PACKAGE._replace(package="", manager="", sha256=ONE)
    assert host.judge([record], allowed) == []
    assert host.ended == [
        {"alert": "app_unapproved_program", "subject": TOOL.path, "reason": "Allowed: the sha256 rule of web"}
    ]


@pytest.mark.parametrize(
    ("record", "severity", "disposition", "message"),
    [
        (
            refused(NGINX),
            None,
            "blocked",
            "fapolicyd blocked it 3 times since the last scan (rule 2 of compiled.rules)",
        ),
        (
            ran(NGINX, Denials(0, 2)),
            "medium",
            "allowed",
            "fapolicyd would have blocked it 2 times, if it were not permissive, since the last scan",
        ),
    ],
)
def test_what_should_run_and_was_refused_is_a_finding_of_its_own(
    host: Host, record: Record, severity: str | None, disposition: str, message: str
) -> None:
    (finding,) = host.judge([record], PACKAGE)
    assert (finding["alert"], finding["severity"]) == ("app_allowed_program_stopped", severity)
    who = ", tried by eve in /home/eve, started by /usr/bin/bash, though it should run: package nginx of web."
    assert (finding["disposition"], finding["message"]) == (disposition, message + who)
    # The allowlist has it, and that ends nothing.
    assert host.ended == []
    assert not record.reported


def test_automation_that_was_refused_is_reported_as_urgently(host: Host) -> None:
    (finding,) = host.judge([refused(NGINX, Denials(3, 0, 3))], PACKAGE)
    assert (finding["alert"], finding["severity"]) == ("app_allowed_program_stopped", None)
    (other,) = host.judge([refused(TOOL, Denials(3, 0, 3))], PACKAGE)
    assert (other["alert"], other["severity"]) == ("app_unapproved_program", "informational")
    (detection,) = host.judge([refused(TOOL, Denials(3, 0, 2))], PACKAGE)
    assert detection["severity"] is None


def test_what_was_refused_before_it_was_approved_and_deployed_is_no_alarm(host: Host) -> None:
    host.since = EXECUTION.time + 1
    (finding,) = host.judge([refused(NGINX)], PACKAGE)
    assert (finding["alert"], finding["severity"]) == ("app_allowed_program_stopped", "informational")
    assert finding["message"].endswith("nginx of web. That was before the policy was deployed that is in force now.")
    host.since = EXECUTION.time
    (finding,) = host.judge([refused(NGINX)], PACKAGE)
    assert finding["severity"] is None


def test_what_the_policy_trusts_should_run(host: Host) -> None:
    host.trusted = {TOOL.path: ONE}
    (finding,) = host.judge([refused()], PACKAGE)
    assert finding["alert"] == "app_allowed_program_stopped"
    host.trusted = {TOOL.path: "2" * 64}
    (finding,) = host.judge([refused()], PACKAGE)
    assert finding["alert"] == "app_unapproved_program"


def test_a_flood_of_refused_programs_is_one_finding_for_their_directory(host: Host) -> None:
    flood = [refused(TOOL._replace(path=f"/home/eve/x/{number}")) for number in range(301)]
    (finding,) = host.judge(flood, PACKAGE)
    assert (finding["subject"], finding["disposition"], finding["count"]) == ("/home/eve/x/*", "blocked", 301)
    assert finding["message"] == "fapolicyd blocked 301 programs of this directory, which no allowlist has."
    flood = [refused(NGINX._replace(path=f"/usr/lib/nginx/{number}")) for number in range(301)]
    (finding,) = host.judge(flood, PACKAGE)
    assert finding["alert"] == "app_allowed_program_stopped"
    assert not any(record.reported for record in flood)


def test_our_own_canary_is_counted_unless_it_ran(host: Host) -> None:
    host.canaries = {TOOL.path}
    assert host.judge([refused()], PACKAGE) == []
    assert host.scope.entry()["explained_count"] == 3
    assert host.judge([ran(denials=Denials(1))], PACKAGE) != []
    assert host.judge([ran()], PACKAGE) != []
    assert host.judge([refused(executions=1)], PACKAGE) != []
    assert host.judge([refused(denials=Denials(rehearsed=1))], PACKAGE) == []


def test_attempts_keep_no_policy_from_a_host() -> None:
    rules = ("allow perm=any all : trust=1", "deny_audit perm=execute all : all")
    policy = Policy("enforce", rules, (), {})
    assert [each.path for each in refusals.blocked(policy, [refused(), ran(NGINX)])] == [NGINX.path]


def test_our_own_program_is_counted_as_long_as_it_is_as_we_wrote_it(host: Host) -> None:
    hook = TOOL._replace(kind="script", path=next(iter(host.own)))
    assert host.judge([ran(hook)], PACKAGE) == []
    assert host.scope.entry()["explained_count"] == 3
    for other in (hook._replace(sha256="2" * 64), hook._replace(content="changed"), hook._replace(sha256="")):
        assert len(host.judge([ran(other)], PACKAGE)) == 1
    assert len(host.judge([ran(hook, denials=Denials(1))], PACKAGE)) == 1


def test_a_finding_about_our_own_program_ends_once_it_is_known_as_ours(host: Host) -> None:
    path = next(iter(host.own))
    hook, other = (TOOL._replace(kind="script", path=path, sha256=sha256) for sha256 in (ONE, "2" * 64))
    records, own = [ran(hook), ran(other)], host.own
    host.own = {}
    for record in records:
        assert len(host.judge([record], PACKAGE)) == 1
        record.newest = None
    host.own = own
    host.judge(records[:1], PACKAGE)
    assert host.ended == [
        {"alert": "app_unapproved_script", "subject": path, "reason": "Allowed: a program of the collection"}
    ]
    host.judge(records[1:], PACKAGE)
    assert host.ended == []
