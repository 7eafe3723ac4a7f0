# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody approves what a finding names: the file of exceptions has it, and the finding is resolved."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pathlib
import subprocess
import sys
import types
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.action import app_allowlist
from ansible_collections.bulwark.servers.plugins.doc_fragments import store as store_doc
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.modules import app_allowlist as documented
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

from tests.support import paths
from tests.unit.plugins.plugin_utils.store import programs

TOOL = "/opt/tool"
DIGEST = "b" * 64
USER = {"awx_user_name": "alice"}


def tool(path: str = TOOL, **facts: t.Any) -> Program:
    about = {"sha256": DIGEST, "package": "", "manager": "", "verification": "unpackaged", **facts}
    return programs.program(path, **about)


def report(
    store: Store,
    *found: Program,
    host: str = "web1",
    alert: str = "app_unapproved_program",
    has_run: bool = True,
) -> list[str]:
    """Record that programs that no allowlist has ran, or were blocked; return the uids of the findings."""
    detections = [
        _finding.detection(
            alert=alert,
            subject=judge.subject(each),
            scope=programs.SCOPE,
            evidences=[{"data": {"sha256": each.sha256, "content": each.content}}],
        )
        for each in found
    ]
    made = [events.finding(each, catalogue.load(), events.Device(host), programs.DAY) for each in detections]
    programs.record(store, *(programs.sighting(each) for each in found if has_run), host=host, findings=made)
    return [each["finding_info"]["uid"] for each in made]


class Desk:
    """A directory of allowlists, a store, and somebody who approves."""

    def __init__(self, directory: pathlib.Path, store: Store) -> None:
        self.directory, self.store = directory, store
        self.file = directory / "exceptions.yml"

    def approve(self, *items: str, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = {
            "allowlists": str(self.directory),
            "approve": list(items),
            "state": "present",
            "hosts": None,
            "user": "",
            "any_content": False,
            "reason": "CHG-1",
            "until": None,
            **options,
        }
        action = app_allowlist.ActionModule.__new__(app_allowlist.ActionModule)
        action._task = types.SimpleNamespace(check_mode=check)
        return action.act(self.store, given, USER)

    def entries(self) -> list[dict[str, t.Any]]:
        return t.cast("list[dict[str, t.Any]]", yaml.safe_load(self.file.read_text())["exceptions"])

    def statuses(self) -> dict[str, tuple[str, str | None, str | None]]:
        return {each.host: (each.status, each.status_by, each.status_reason) for each in self.store.query()}

    def allows(self, program: Program, host: str = "web1", user: str = "bob") -> bool:
        lists = allowlist_files.load(self.directory)
        allowlist = allowlist_files.compiled(lists, host, ["web"], "debian 12")
        assert allowlist is not None
        now = dt.datetime.now(dt.UTC).timestamp()
        return judge.judge(program, [user], allowlist, now).allowed


@pytest.fixture
def desk(tmp_path: pathlib.Path) -> t.Iterator[Desk]:
    directory = tmp_path / "lists"
    directory.mkdir()
    (directory / "web.yml").write_text("role: web\nhosts: [web1]\nallow: []\n")
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as store:
        yield Desk(directory, store)


def test_the_options_are_the_documented_ones() -> None:
    options = dict(yaml.safe_load(documented.DOCUMENTATION)["options"])
    options.update(yaml.safe_load(store_doc.ModuleDocFragment.DOCUMENTATION)["options"])
    for fields in options.values():
        del fields["description"]
    assert app_allowlist.ActionModule.ARGUMENTS["argument_spec"] == options


def test_a_finding_is_approved_with_its_content_on_its_host(desk: Desk) -> None:
    (uid,) = report(desk.store, tool())
    report(desk.store, tool(), host="web2")
    result = desk.approve(uid)
    today = dt.datetime.now(dt.UTC).date()
    (entry,) = desk.entries()
    assert entry == {
        "program": TOOL,
        "sha256": DIGEST,
        "hosts": ["web1"],
        "reason": "CHG-1",
        "by": "alice",
        "added": today,
    }
    assert (result["changed"], result["path"], result["changes_count"]) == (True, str(desk.file), 1)
    assert result["added"] == [{**entry, "added": today.isoformat()}]
    assert result["diff"]["before"] == ""
    assert result["diff"]["after"] == desk.file.read_text()
    assert desk.statuses() == {"web1": ("resolved", "alice", "approved: CHG-1"), "web2": ("new", None, None)}
    assert desk.allows(tool())
    assert not desk.allows(tool(sha256="c" * 64))
    assert not desk.allows(tool(), host="web2")


def test_a_program_that_never_ran_is_approved_with_the_content_that_was_blocked(desk: Desk) -> None:
    (uid,) = report(desk.store, tool(), has_run=False)
    desk.approve(uid)
    assert desk.entries()[0]["sha256"] == DIGEST


def test_the_second_time_nothing_changes(desk: Desk) -> None:
    (uid,) = report(desk.store, tool())
    desk.approve(uid)
    before = desk.file.read_text()
    again = desk.approve(uid)
    assert (again["changed"], again["added"], desk.file.read_text()) == (False, [], before)


def test_check_mode_says_what_would_be(desk: Desk) -> None:
    (uid,) = report(desk.store, tool())
    result = desk.approve(uid, check=True)
    assert result["changed"]
    assert TOOL in result["diff"]["after"]
    assert not desk.file.exists()


def test_findings_of_several_hosts_become_one_entry(desk: Desk) -> None:
    uids = [uid for host in ("web2", "web1") for uid in report(desk.store, tool(), host=host)]
    desk.approve(*uids, user="ci", until="2100-01-01")
    (entry,) = desk.entries()
    assert (entry["hosts"], entry["user"], entry["until"]) == (["web1", "web2"], "ci", dt.date(2100, 1, 1))
    assert desk.allows(tool(), user="ci")
    assert not desk.allows(tool(), user="bob")


def test_all_hosts_and_any_content_have_to_be_asked_for(desk: Desk) -> None:
    (uid,) = report(desk.store, tool())
    desk.approve(uid, hosts=[], any_content=True)
    (entry,) = desk.entries()
    assert {"hosts", "sha256"}.isdisjoint(entry)
    assert desk.allows(tool(sha256="c" * 64), host="web9")


def test_a_path_is_approved_with_any_content_and_is_no_pattern(desk: Desk) -> None:
    (uid,) = report(desk.store, tool("/tmp/*"))
    desk.approve("/tmp/*")
    assert desk.entries()[0]["program"] == "/tmp/[*]"
    assert desk.allows(tool("/tmp/*"))
    assert not desk.allows(tool("/tmp/evil"))
    assert [each.status for each in desk.store.query(Query(uids=[uid]))] == ["resolved"]


def test_a_program_in_a_container_is_approved_there(desk: Desk) -> None:
    inside = tool("/usr/bin/a: /b", image="shop:1")
    (uid,) = report(desk.store, inside)
    desk.approve(uid)
    assert desk.entries()[0]["program"] == "shop:1: /usr/bin/a: /b"
    assert desk.entries()[0]["sha256"] == DIGEST


def test_an_approval_that_ended_is_made_again(desk: Desk) -> None:
    desk.file.write_text(f"exceptions:\n  - {{program: {TOOL}, reason: x, by: y, until: 2020-01-01}} # long ago\n")
    desk.approve(TOOL, until="30d")
    assert [each["by"] for each in desk.entries()] == ["y", "alice"]
    assert desk.file.read_text().startswith(
        "exceptions:\n  - {program: /opt/tool, reason: x, by: y, until: 2020-01-01}"
    )
    assert desk.allows(tool())


def test_an_approval_is_taken_back(desk: Desk) -> None:
    (uid,) = report(desk.store, tool())
    desk.file.write_text("# Ours\nexceptions:\n  - {program: /opt/other, reason: x, by: y}\n")
    before = desk.file.read_text()
    desk.approve(uid)
    desk.approve(TOOL, hosts=["web9"])
    result = desk.approve(uid, state="absent")
    assert (result["changed"], [each["hosts"] for each in result["removed"]]) == (True, [["web1"]])
    assert desk.approve(uid, state="absent")["changed"] is False
    assert desk.approve(TOOL, state="absent", check=True)["removed"][0]["hosts"] == ["web9"]
    desk.approve(TOOL, state="absent")
    assert desk.file.read_text() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reason": " "}, "reason is empty"),
        ({"until": "2020-01-01"}, "until '2020-01-01' is over"),
        ({"until": "soon"}, "'soon' is not a time"),
    ],
)
def test_wrong_options_are_named(desk: Desk, options: dict[str, t.Any], message: str) -> None:
    with pytest.raises((AnsibleActionFail, ValueError), match=message):
        desk.approve(TOOL, **options)
    assert not desk.file.exists()


def test_what_cannot_be_approved_is_named(desk: Desk) -> None:
    (gone, tampered, many) = (
        *report(desk.store, tool(content="gone")),
        *report(desk.store, tool("/x"), host="web2", alert="app_state_tampered"),
        *report(desk.store, tool("/tmp/*", content="gone"), host="web3"),
    )
    for item, message in (
        ("tool", "'tool' is not a finding of the store and no absolute path"),
        (gone, f"the content of {TOOL} when it ran on web1 is unknown"),
        (tampered, "is about app_state_tampered; only programs"),
        (many, r"is about many programs, /tmp/\*; allow"),
    ):
        with pytest.raises(ContentError, match=message):
            desk.approve(item)
    with pytest.raises(ContentError, match="many programs"):
        desk.approve(many, any_content=True)
    assert desk.approve(gone, any_content=True)["changed"]
    assert desk.approve(gone, state="absent")["changed"]


def test_files_that_a_scan_could_not_read_are_not_added_to(desk: Desk) -> None:
    (desk.directory / "web.yml").write_text("role: [\n")
    with pytest.raises(ContentError, match=r"web\.yml cannot be read"):
        desk.approve(TOOL)
    with pytest.raises(AnsibleActionFail, match=r"allowlists: .*missing cannot be used"):
        desk.approve(TOOL, allowlists=str(desk.directory / "missing"))
    assert not desk.file.exists()


def test_a_link_stays_and_the_file_keeps_its_mode(desk: Desk, tmp_path: pathlib.Path) -> None:
    real = tmp_path / "real.yml"
    real.write_text("exceptions: []\n")
    real.chmod(0o640)
    desk.file.symlink_to(real)
    desk.approve(TOOL)
    assert desk.file.is_symlink()
    assert (real.stat().st_mode & 0o777, len(desk.entries())) == (0o640, 1)


_ONE = """
import sys, types
from ansible_collections.bulwark.servers.plugins.action import app_allowlist
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store
url, directory, number = sys.argv[1:]
action = app_allowlist.ActionModule.__new__(app_allowlist.ActionModule)
action._task = types.SimpleNamespace(check_mode=False)
options = {"allowlists": directory, "state": "present", "hosts": None, "user": "", "any_content": False,
           "reason": "x", "until": None}
for each in range(5):
    action.act(Store.open(url), {**options, "approve": [f"/opt/{number}-{each}"]}, {})
"""


def test_runs_at_the_same_time_lose_nothing(desk: Desk, tmp_path: pathlib.Path) -> None:
    arguments = [f"sqlite:///{tmp_path}/findings.db", str(desk.directory)]
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    runs = [
        subprocess.Popen([sys.executable, "-c", _ONE, *arguments, str(number)], env=environment) for number in range(3)
    ]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(desk.entries()) == 15
