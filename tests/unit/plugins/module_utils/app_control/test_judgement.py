# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look makes of its records findings, explanations, and findings that end because of what people allowed."""

from __future__ import annotations

import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judgement, look
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judgement import Judgement
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution, Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.package_scripts import PackageScripts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.upgrades import Upgrades
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import load_packages

# Long ago: what the test writes, it writes after what ran.
NOW = 1_700_000_000.0
ONE, OTHER = "1" * 64, "2" * 64
NGINX = Program(
    "program",
    "/usr/sbin/nginx",
    sha256=ONE,
    manager="dpkg",
    package="nginx",
    version="1.26-1",
    verification="verified",
    owner="root",
)
TOOL = Program("program", "/usr/local/bin/tool", sha256=ONE, verification="unpackaged", owner="root")
PACKAGE = Rule("web", package="nginx", manager="dpkg")
EXECUTION = Execution(
    NOW, "eve", "/usr/bin/bash", ("/usr/sbin/sshd",), "/home/eve", "pts0", "7", path="/usr/local/bin/tool", pid="4711"
)


def seen(program: Program, **others: t.Any) -> Record:
    fields = {"executions": 3, "new_executions": 3, "newest": EXECUTION, "newest_unexplained": EXECUTION}
    return Record(program, NOW - 60, NOW, [19_675], **{**fields, **others})


class Host:
    """Judges with a root of its own, in which the test installs what it needs."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.info = root / "var/lib/dpkg/info"
        self.info.mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        self.scope = ScopeCoverage("programs")
        self.ended: list[dict[str, str]] = []
        self.containers = ""
        self.trusted: dict[str, str] = {}
        self.canaries: set[str] = set()
        self.own = {"/var/lib/bulwark/hook": ONE}
        self.since = 0.0

    def unpack(self, package: str, version: str) -> None:
        """Let dpkg unpack a package now, as far as its files say."""
        (self.info / f"{package}.list").touch()
        (self.info.parent / "status").write_text(
            f"Package: {package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        )

    def remove(self, package: str) -> None:
        (self.info / f"{package}.list").unlink()
        (self.info.parent / "status").write_text("")

    def judge(
        self, records: t.Sequence[Record], *rules: Rule, exemptions: t.Sequence[Exemption] = ()
    ) -> list[dict[str, t.Any]]:
        databases = load_packages(os.fsencode(self.root))
        allowlist = Allowlist(("web",), rules, tuple(exemptions))
        self.scope = ScopeCoverage("programs")
        each = Judgement(allowlist, self.scope, PackageScripts(databases), Upgrades(databases), NOW)
        each.know(self.trusted, self.canaries, self.own, self.since)
        detections = each.detections(records)
        self.ended = each.ended(records)
        self.containers = each.describe_containers()
        return detections


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def alerts(detections: t.Sequence[t.Mapping[str, t.Any]]) -> list[tuple[str, str, str | None]]:
    return [(each["alert"], each["subject"], each["severity"]) for each in detections]


def test_program_that_is_not_allowed_is_one_finding_with_its_evidence(host: Host) -> None:
    record = seen(TOOL)
    (found,) = host.judge([record, seen(NGINX)], PACKAGE)
    assert (found["alert"], found["subject"], found["severity"]) == ("app_unapproved_program", TOOL.path, None)
    assert (found["count"], found["first_time"], found["last_time"]) == (3, NOW - 60, NOW)
    assert found["message"] == (
        "It ran 3 times since the last scan by eve in /home/eve, started by /usr/bin/bash: it belongs to no package."
    )
    (evidence,) = found["evidences"]
    assert evidence["file"]["hashes"] == [{"algorithm_id": 3, "algorithm": "SHA-256", "value": ONE}]
    assert evidence["actor"] == {"user": {"name": "eve"}}
    assert evidence["process"] == {
        "name": "tool",
        "path": TOOL.path,
        "pid": 4711,
        "working_directory": "/home/eve",
        "session": {"uid": "7", "terminal": "pts0"},
        "user": {"name": "eve"},
        "parent_process": {
            "name": "bash",
            "path": "/usr/bin/bash",
            "parent_process": {"name": "sshd", "path": "/usr/sbin/sshd"},
        },
    }
    assert record.reported == "app_unapproved_program"
    assert record.reported_program == TOOL


def test_only_what_ran_in_this_look_is_judged(host: Host) -> None:
    assert host.judge([seen(TOOL, newest=None, newest_unexplained=None, new_executions=0)], PACKAGE) == []
    running = seen(TOOL, newest=None, newest_unexplained=None, new_executions=0, is_running=True)
    assert alerts(host.judge([running], PACKAGE)) == [("app_unapproved_program", TOOL.path, None)]


@pytest.mark.parametrize(
    ("others", "severity"),
    [
        ({"new_explained": 3, "explanations": {"The controller signed in as ansible": 3}}, "informational"),
        ({"new_explained": 2, "explanations": {"The controller signed in as ansible": 2}}, None),
        ({"new_executions": 0, "explained": 3}, "informational"),
        ({"new_executions": 0, "explained": 2}, None),
    ],
)
def test_one_unexplained_execution_has_the_full_severity(
    host: Host, others: dict[str, t.Any], severity: str | None
) -> None:
    (found,) = host.judge([seen(TOOL, **others)], PACKAGE)
    assert found["severity"] == severity


def test_content_that_changed_within_a_version_is_doubted_until_it_is_back(host: Host) -> None:
    """Whoever edits dpkg's digests, too, gets a file that is verified."""
    edited = seen(NGINX._replace(sha256=OTHER), before=NGINX)
    (found,) = host.judge([edited], PACKAGE)
    assert alerts([found]) == [("app_changed_program", NGINX.path, None)]
    assert "its content changed, and the version of its package nginx did not" in found["message"]
    # The next look sees nothing new, and has not forgotten.
    again = seen(edited.program, before=edited.program, genuine=edited.genuine, reported=edited.reported)
    again.reported_program = edited.reported_program
    assert alerts(host.judge([again], PACKAGE)) == [("app_changed_program", NGINX.path, None)]
    assert host.ended == []
    # Put back, it is as it was; the finding stays for people.
    back = seen(NGINX, before=again.program, genuine=again.genuine, reported=again.reported)
    back.reported_program = again.reported_program
    assert host.judge([back], PACKAGE) == []
    assert host.ended == []
    assert back.genuine is None


def test_upgrade_between_execution_and_look_raises_nothing(host: Host) -> None:
    host.unpack("nginx", "1.26-2")
    newer = NGINX._replace(version="1.26-2", sha256=OTHER)
    # What lies there now is another file, and what ran is what the look before saw.
    replaced = NGINX._replace(content="changed")
    # It was upgraded, ran, and got another mode.
    written = newer._replace(content="changed")
    # A process goes on with the former file.
    running = newer._replace(content="gone", sha256=ONE, verification="modified")
    for program in (replaced, written, running):
        record = seen(program, before=NGINX)
        assert host.judge([record], PACKAGE) == []
        assert record.reported == ""
        # Whoever touches the files of dpkg can make it look so.
        explained = host.scope.entry().get("explained", [])
        assert [(each["by"], each["count"]) for each in explained] == [(f"claimed by nginx {program.version}", 3)]
    # Removed with its package.
    host.remove("nginx")
    assert host.judge([seen(NGINX._replace(content="gone"), before=NGINX)], PACKAGE) == []


def test_another_file_that_ran_before_an_upgrade_is_noticed(host: Host) -> None:
    """Its inode is neither that of the file that the look before saw, nor of the one that is there now."""
    host.unpack("nginx", "1.26-2")
    unread = NGINX._replace(version="1.26-2", content="changed", sha256="", verification="unknown")
    assert alerts(host.judge([seen(unread, before=NGINX)], PACKAGE)) == [("app_changed_program", NGINX.path, "low")]
    # It belonged to somebody else.
    foreign = unread._replace(verification="modified", writers=("eve",))
    assert alerts(host.judge([seen(foreign, before=NGINX)], PACKAGE)) == [("app_changed_program", NGINX.path, None)]
    # The package was removed, too.
    host.remove("nginx")
    gone = Program("program", NGINX.path, content="gone")
    assert alerts(host.judge([seen(gone, before=NGINX)], PACKAGE)) == [("app_unapproved_program", NGINX.path, None)]


def test_process_with_the_file_of_a_former_version_stays_known(host: Host) -> None:
    host.unpack("nginx", "1.26-2")
    running = NGINX._replace(version="1.26-2", content="gone", verification="modified")
    record = seen(running, before=NGINX, is_altered=True)
    assert host.judge([record], PACKAGE) == []
    assert record.program == NGINX._replace(content="gone")
    assert host.judge([seen(running, before=record.program)], PACKAGE) == []


def test_file_that_somebody_put_back_is_noticed(host: Host) -> None:
    """The version is that of the look before, and dpkg's times are what root makes of them."""
    host.unpack("nginx", "1.26-1")
    for program in (
        NGINX._replace(content="changed"),
        NGINX._replace(content="changed", sha256="", verification="unknown"),
        NGINX._replace(content="gone"),
    ):
        (found,) = host.judge([seen(program, before=NGINX)], PACKAGE)
        assert found["alert"] in ("app_changed_program", "app_unapproved_program")
    (found,) = host.judge([seen(NGINX._replace(content="changed"), before=NGINX)], PACKAGE)
    assert found["severity"] == "low"
    # It runs what no look saw before.
    (found,) = host.judge([seen(NGINX._replace(content="gone", sha256=OTHER), before=NGINX)], PACKAGE)
    assert alerts([found]) == [("app_changed_program", NGINX.path, None)]


def test_program_that_no_look_saw_before_is_an_upgrade_by_the_times_of_dpkg(host: Host) -> None:
    program = NGINX._replace(content="changed", sha256="", verification="unknown")
    assert len(host.judge([seen(program)], PACKAGE)) == 1
    host.unpack("nginx", "1.26-1")
    # The time of its inode counts, which no program sets.
    os.utime(host.info / "nginx.list", (0, 0))
    assert host.judge([seen(program)], PACKAGE) == []
    assert host.judge([seen(program)]) != []
    later = seen(program)
    later.last = time.time() + 3600
    assert len(host.judge([later], PACKAGE)) == 1
    stale = NGINX._replace(content="gone", verification="modified")
    (found,) = host.judge([seen(stale)], PACKAGE)
    assert alerts([found]) == [("app_changed_program", NGINX.path, "low")]


def test_finding_ends_when_people_allow_its_program(host: Host) -> None:
    record = seen(TOOL)
    host.judge([record], PACKAGE)
    record.newest = None
    assert host.judge([record], PACKAGE) == []
    assert host.ended == []
    exemption = Exemption("/usr/local/bin/tool", "Needed", "alice")
    host.judge([record], PACKAGE, exemptions=[exemption])
    assert host.ended == [
        {
            "alert": "app_unapproved_program",
            "subject": "/usr/local/bin/tool",
            "reason": "Allowed: exception by alice: Needed",
        }
    ]
    assert (record.reported, record.reported_program) == ("", None)
    host.judge([record], PACKAGE, exemptions=[exemption])
    assert host.ended == []


def test_finding_does_not_end_by_what_an_intruder_makes_of_the_file(host: Host) -> None:
    record = seen(NGINX._replace(path="/usr/sbin/evil", package="", manager="", verification="unpackaged"))
    host.judge([record], PACKAGE)
    # An edited database has the file now.
    record.before, record.program = record.program, NGINX._replace(path="/usr/sbin/evil")
    assert host.judge([record], PACKAGE) == []
    assert host.ended == []
    assert record.reported == "app_unapproved_program"


def test_scripts_that_nothing_vouches_for_are_one_low_finding_for_a_package(host: Host) -> None:
    records = [
        seen(Program("script", f"/var/lib/dpkg/info/own.{kind}", interpreter="/usr/bin/dash", sha256=ONE))
        for kind in ("postinst", "prerm")
    ]
    (found,) = host.judge(records, PACKAGE)
    assert alerts([found]) == [("app_unapproved_script", "/var/lib/dpkg/info/own.postinst", "low")]
    assert (found["count"], len(found["evidences"])) == (6, 2)
    # As it is approved: by the subject of the finding.
    exemptions = [Exemption("/var/lib/dpkg/info/own.postinst", "Our packages", "alice")]
    assert host.judge(records, PACKAGE, exemptions=exemptions) == []
    assert {each["subject"] for each in host.ended} == {"/var/lib/dpkg/info/own.postinst"}


def test_what_scripts_of_packages_start_is_explained_if_it_is_as_its_package_says(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PackageScripts, "is_started", lambda _self, sentence: sentence == "nginx 1.26-2")
    explained = {"explanations": {"nginx 1.26-2": 3}, "new_explained": 3, "explained": 3, "newest_unexplained": None}
    assert host.judge([seen(NGINX, **explained)]) == []
    assert host.scope.entry()["explained"] == [{"by": "nginx 1.26-2", "count": 3, "examples": ["/usr/sbin/nginx"]}]
    # A script found another program by that name, which nobody vouches for.
    planted = seen(TOOL, **explained)
    assert alerts(host.judge([planted])) == [("app_unapproved_program", TOOL.path, None)]
    assert (planted.new_explained, planted.explained) == (0, 0)
    once_more = {**explained, "newest_unexplained": EXECUTION, "explanations": {"nginx 1.26-2": 2}, "new_explained": 2}
    assert alerts(host.judge([seen(NGINX, **once_more)])) == [("app_unapproved_program", NGINX.path, None)]


def test_containers_without_rules_are_said(host: Host) -> None:
    records = [seen(TOOL._replace(image="shop:2")), seen(NGINX._replace(image="shop:2")), seen(NGINX)]
    assert host.judge(records, PACKAGE) == []
    assert host.containers == "Not judged, as no allowlist has rules for the image: 2 programs of shop:2."


def test_flood_becomes_findings_for_its_directories(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "_MOST_FINDINGS", 3)
    monkeypatch.setattr(judgement, "_MOST_OF_DIRECTORY", 4)
    flood = [seen(TOOL._replace(path=f"/tmp/x/{number}")) for number in range(5)]
    others = [seen(TOOL._replace(path=f"/srv/{number}/tool")) for number in range(4)]
    changed = seen(NGINX._replace(verification="modified"))
    found = host.judge([*flood, *others, changed], PACKAGE)
    assert [each["subject"] for each in found] == ["/tmp/x/*", "/usr/sbin/nginx", "/srv/0/tool", "/srv/1/tool"]
    assert found[0]["count"] == 5
    assert host.scope.entry()["skipped"] == [
        {"subject": "findings", "reason": "2 more programs ran that no allowlist has"}
    ]
    assert [record.reported != "" for record in others] == [True, True, False, False]


def test_flood_of_directories_hides_no_other_program(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "_MOST_FINDINGS", 3)
    monkeypatch.setattr(judgement, "_MOST_OF_DIRECTORY", 4)
    flood = [seen(TOOL._replace(path=f"/tmp/{number}/x")) for number in range(9)]
    inside = [seen(TOOL._replace(path=f"/tmp/{number}/x", image="web:1")) for number in range(5)]
    found = host.judge([*flood, *inside, seen(TOOL)], PACKAGE, Rule("web", directory="/srv", image="web:1"))
    assert sorted(each["subject"] for each in found) == ["/tmp/*", TOOL.path, "web:1: /tmp/*"]
    assert host.scope.entry()["skipped"] == []


def test_process_id_that_is_none(host: Host) -> None:
    execution = EXECUTION._replace(pid="9" * 5_000)
    (found,) = host.judge([seen(TOOL, newest=execution, newest_unexplained=execution)], PACKAGE)
    assert "pid" not in found["evidences"][0]["process"]


def test_more_programs_than_a_result_can_have_come_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [seen(TOOL._replace(path="/tmp/%d" % number), new_days=[1]) for number in range(5)]
    monkeypatch.setattr(look, "_MOST_SIGHTINGS", 2)
    assert [each.program.path for each in look.sightings(records)] == ["/tmp/0", "/tmp/1"]
    assert [each.is_postponed for each in records] == [False, False, True, True, True]
    monkeypatch.setattr(look, "_MOST_CHARACTERS", 5)
    assert len(list(look.sightings(records))) == 1


def test_finding_of_a_directory_ends_when_all_its_programs_are_allowed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgement, "_MOST_FINDINGS", 3)
    monkeypatch.setattr(judgement, "_MOST_OF_DIRECTORY", 4)
    flood = [seen(TOOL._replace(path=f"/opt/x/{number}")) for number in range(5)]
    flood[0].program = flood[0].program._replace(sha256=OTHER)
    host.judge(flood, PACKAGE)
    for record in flood:
        record.newest = None
    host.judge(flood, PACKAGE, Rule("web", sha256=ONE))
    assert host.ended == []
    host.judge(flood, PACKAGE, Rule("web", directory="/opt/x"))
    assert [(each["subject"], each["reason"]) for each in host.ended] == [
        ("/opt/x/*", "Allowed: directory /opt/x of web")
    ]
    assert {record.reported for record in flood} == {""}
