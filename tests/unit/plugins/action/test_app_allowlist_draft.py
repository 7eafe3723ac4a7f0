# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafts of allowlists are written beside what people have, and never over it."""

from __future__ import annotations

import contextlib
import pathlib
import time
import types
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.action import app_allowlist_draft, app_allowlist_info
from ansible_collections.bulwark.servers.plugins.doc_fragments import store as store_doc
from ansible_collections.bulwark.servers.plugins.modules import app_allowlist_draft as draft_doc
from ansible_collections.bulwark.servers.plugins.modules import app_allowlist_info as info_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Recommendation
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

from tests.unit.plugins.plugin_utils.app_control.samples import NGINX, TOOL, role
from tests.unit.plugins.plugin_utils.store import programs


class Desk:
    """A store with programs of two hosts, and a recommender that says what a test wants."""

    def __init__(self, directory: pathlib.Path, patch: pytest.MonkeyPatch) -> None:
        self.directory, self._patch = directory / "learned", patch
        self.url = f"sqlite:///{directory}/findings.db"
        day = int(time.time() // programs.DAY) - 1
        with contextlib.closing(Store.open(self.url)) as store:
            for host in ("web1", "web2", "db1"):
                seen = [programs.sighting(each, day=day) for each in (NGINX, TOOL)]
                programs.record(store, *seen, day=day, host=host)

    def learn(self, *roles: t.Any, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = roles or (role(review=[TOOL]),)
        names = {host: tuple(each.name for each in given if host in each.hosts) for host in ("web1", "web2", "db1")}
        found = Recommendation(given, names, {"db1": "It has no role."})
        self._patch.setattr(app_allowlist_draft, "recommend", lambda *_given: found)
        action = app_allowlist_draft.ActionModule.__new__(app_allowlist_draft.ActionModule)
        action._task = types.SimpleNamespace(check_mode=check)
        defaults = {name: fields.get("default") for name, fields in app_allowlist_draft.ARGUMENTS.items()}
        return action._learn({**defaults, "store": self.url, "directory": str(self.directory), **options})

    @property
    def file(self) -> pathlib.Path:
        return self.directory / "web.yml"

    @property
    def proposal(self) -> pathlib.Path:
        return self.directory / "web.new.yml"


@pytest.fixture
def desk(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (app_allowlist_draft.ARGUMENTS, draft_doc),
        (app_allowlist_info.ActionModule.ARGUMENTS["argument_spec"], info_doc),
    ],
)
def test_the_options_are_the_documented_ones(arguments: t.Any, module: t.Any) -> None:
    options = dict(yaml.safe_load(module.DOCUMENTATION)["options"])
    options.update(yaml.safe_load(store_doc.ModuleDocFragment.DOCUMENTATION)["options"])
    for fields in options.values():
        del fields["description"]
    assert dict(arguments) == options


def test_check_mode_shows_what_would_be_written(desk: Desk) -> None:
    result = desk.learn(check=True)
    assert result["changed"]
    assert "- package: nginx" in result["diff"][0]["after"]
    assert not desk.directory.exists()


def test_a_draft_is_written_once_and_says_what_would_be_alerts(desk: Desk) -> None:
    result = desk.learn()
    (written,) = result["roles"]
    assert (written["path"], written["recommended"], written["review"]) == (str(desk.file), 1, 1)
    assert [(each["program"], each["hosts"], each["users"]) for each in result["alerts"]] == [
        ("/opt/tool", ["web1", "web2"], ["alice"])
    ]
    assert result["lines"] == [
        f"web: 2 hosts, 1 rule, 1 to review. Review {desk.file}, which allows and blocks nothing by itself.",
        "Not learned from 1 host (db1): It has no role.",
        "With these allowlists, 1 program that ran would be an alert:",
        "  /opt/tool: 2 hosts (web1, web2), by alice; it belongs to no package",
    ]
    again = desk.learn()
    assert (again["changed"], again["diff"]) == (False, [])


def test_what_people_have_changed_is_theirs(desk: Desk) -> None:
    desk.learn()
    # A person allowed what was for review, and more: nothing is missing.
    mine = desk.file.read_text().replace("allow:\n", "allow:\n  - directory: /opt  # ours\n")
    desk.file.write_text(mine)
    assert not desk.learn()["changed"]
    changed = mine.replace("package: nginx", "package: apache2")
    desk.file.write_text(changed)
    result = desk.learn()
    assert (result["changed"], result["roles"][0]["preserved"]) == (True, True)
    assert result["roles"][0]["path"] == str(desk.proposal)
    assert (result["diff"][0]["before"], result["diff"][0]["after"]) == (changed, desk.proposal.read_text())
    assert desk.file.read_text() == changed
    assert not desk.learn()["changed"]
    desk.learn(replace=True)
    assert desk.file.read_text() == desk.proposal.read_text()


def test_a_file_that_somebody_renamed_is_found(desk: Desk) -> None:
    desk.learn()
    desk.file.rename(desk.directory / "front.yml")
    assert not desk.learn()["changed"]
    assert [path.name for path in desk.directory.iterdir()] == ["front.yml"]


def test_a_file_that_cannot_be_read_is_named_and_stays(desk: Desk) -> None:
    desk.learn()
    desk.file.write_text("role: [\n")
    with pytest.raises(ContentError, match=r"web\.yml cannot be read"):
        desk.learn(replace=True)
    assert desk.file.read_text() == "role: [\n"


def test_changes_and_exceptions_are_those_of_the_lists_in_use(desk: Desk, tmp_path: pathlib.Path) -> None:
    used = tmp_path / "lists"
    used.mkdir()
    (used / "web.yml").write_text("role: web\nhosts: [web1, web2]\nallow: [{package: old, manager: dpkg}]\n")
    (used / "exceptions.yml").write_text("exceptions: [{program: /opt/tool, reason: x, by: y, hosts: [web1]}]\n")
    result = desk.learn(allowlists=str(used))
    (changes,) = result["changes"]
    assert ([each["package"] for each in changes["add"]], changes["unused"]) == (
        ["nginx"],
        [{"package": "old", "manager": "dpkg"}],
    )
    assert [each["hosts"] for each in result["alerts"]] == [["web2"]]
    line = "Allowlist web: 1 rule to add, 1 rule that nobody uses, 1 new program to review."
    assert result["lines"][-1] == line


def test_the_dry_run_does_not_name_what_people_have_allowed(desk: Desk, tmp_path: pathlib.Path) -> None:
    used = tmp_path / "lists"
    used.mkdir()
    other = "role: other\nhosts: [web1, web2]\nallow: [{directory: /opt}]\n"
    (used / "other.yml").write_text(other)
    assert [each["program"] for each in desk.learn(allowlists=str(used))["alerts"]] == ["/opt/tool"]
    # A person moved it from review to allow; what the list lacks is still recommended, and counts.
    (used / "web.yml").write_text(f"role: web\nhosts: [web1]\nallow: [{{sha256: {TOOL.sha256}, path: /opt/tool}}]\n")
    result = desk.learn(allowlists=str(used))
    assert (result["alerts"], result["alerts_count"]) == ([], 0)
    assert "With these allowlists, none of the observed programs would be an alert." in result["lines"]


def test_roles_with_a_problem_get_no_file(desk: Desk) -> None:
    result = desk.learn(role(problem="Only 2 hosts have it, and 3 are needed."))
    assert (result["enough_data"], result["observed"], result["changed"]) == (False, 3, False)
    assert result["lines"][0] == "No allowlist for web: Only 2 hosts have it, and 3 are needed."
    assert not desk.directory.exists()


def test_a_base_names_the_hosts_that_have_nothing_else(desk: Desk) -> None:
    base = role("base-debian-12", distribution="debian 12", hosts=("db1", "web1", "web2"))
    desk.learn(base, role(hosts=("web1",)))
    lists = {each.name: each.hosts for each in allowlist_files.load(desk.directory).roles}
    assert {name: sorted(hosts) for name, hosts in lists.items()} == {
        "base-debian-12": ["db1", "web2"],
        "web": ["web1"],
    }


def test_a_store_that_knows_nothing_is_no_error_unless_it_was_named(
    desk: Desk, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = desk.learn(hosts=["other"])
    assert (nobody["observed"], nobody["lines"]) == (
        0,
        ["No programs of these hosts are recorded: bulwark.servers.scan learns them."],
    )
    missing = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(StoreError, match="there is no store"):
        desk.learn(store=missing)
    monkeypatch.setenv("BULWARK_STORE", missing)
    result = desk.learn(store=None)
    assert (result["observed"], result["enough_data"]) == (0, False)
    assert "there is no store" in result["lines"][0]
