# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look gets the allowlist of its host, and its findings say which other hosts have a program."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import types
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.action import app_control_info, audit_events_info
from ansible_collections.bulwark.servers.plugins.doc_fragments import app_control, automation, checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import hook_files, watchers
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judge import UNAPPROVED_ALERTS
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.violations import (
    Violation,
    violation_detection,
)
from ansible_collections.bulwark.servers.plugins.modules import app_control_info as info_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Request, alone
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import own_programs
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support import paths
from tests.unit.plugins.plugin_utils.store import programs

VARS = {"inventory_hostname": "web1", "group_names": ["shop", "web"]}
TOOL = "/usr/local/bin/tool"


def test_the_options_are_the_documented_ones() -> None:
    documentation = yaml.safe_load(info_doc.DOCUMENTATION)
    options = dict(documentation["options"])
    for name, fragment in (("app_control", app_control), ("automation", automation), ("checkpoint", checkpoint)):
        assert f"bulwark.servers.{name}" in documentation["extends_documentation_fragment"]
        options.update(yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"])
    options.update(yaml.safe_load(checkpoint.ModuleDocFragment.SIMULATED)["options"])
    documented = {
        name: {key: value for key, value in fields.items() if key != "description"} for name, fields in options.items()
    }
    spec = app_control_info.ActionModule.ARGUMENTS["argument_spec"]
    assert documented == {
        name: {key: value for key, value in fields.items() if key != "no_log"} for name, fields in spec.items()
    }


def test_the_role_passes_each_option() -> None:
    (look,) = capabilities.load()["app_control"].looks
    spec = app_control_info.ActionModule.ARGUMENTS["argument_spec"]
    assert set(look.options) == {name for name in spec if name[0] != "_"} - {"store", "run"}
    defaults = yaml.safe_load((paths.ROOT / "roles/app_control/defaults/main.yml").read_text())
    for option, variable in look.options.items():
        if spec[option].get("default") is not None and not option.startswith("automation_"):
            assert defaults[str(variable)] == spec[option]["default"], option


class Site:
    """A store, allowlists, and one host that is asked."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.url = f"sqlite:///{directory}/findings.db"
        self.lists = directory / "lists"
        self.lists.mkdir()
        self.asked: list[dict[str, t.Any]] = []

    def action(self, **options: t.Any) -> t.Any:
        action = app_control_info.ActionModule.__new__(app_control_info.ActionModule)
        args = {"store": self.url, **options}
        action._task = types.SimpleNamespace(
            args=args, action="bulwark.servers.app_control_info", check_mode=False, delegate_to=None
        )
        return action

    def arguments(self, **options: t.Any) -> dict[str, t.Any]:
        action = self.action(**options)
        return t.cast("dict[str, t.Any]", action.module_arguments(dict(action._task.args), VARS))

    def result(self, answer: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
        action = self.action(**options)
        arguments = action.module_arguments(dict(action._task.args), VARS)

        def ask(request: Request) -> dict[str, t.Any]:
            self.asked.append(request.arguments)
            return answer

        return t.cast(
            "dict[str, t.Any]", action.result(alone(action.run_module(arguments, VARS), ask), arguments, VARS)
        )

    @contextlib.contextmanager
    def store(self) -> t.Iterator[Store]:
        with contextlib.closing(Store.open(self.url)) as store:
            yield store


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    return Site(tmp_path)


def allowlist(site: Site, **options: t.Any) -> dict[str, t.Any] | None:
    content = site.arguments(allowlists=str(site.lists), **options).get("_content")
    return None if content is None else _payload.unpack(content)


def test_the_host_gets_the_rules_that_are_for_it(site: Site) -> None:
    (site.lists / "web.yml").write_text("role: web\nhosts: [web1]\nallow: [{directory: /opt/app}]\n")
    (site.lists / "db.yml").write_text("role: db\nallow: [{directory: /opt/db}]\n")
    (site.lists / "base.yml").write_text("role: base\ndistribution: debian 12\n")
    base = {"name": "base", "distribution": "debian 12", "rules": []}
    web = {"name": "web", "distribution": "", "rules": [{"directory": "/opt/app"}]}
    assert allowlist(site) == {"lists": [base, web], "exemptions": []}
    both = allowlist(site, roles="db")
    assert both is not None
    assert [each["name"] for each in both["lists"]] == ["base", "db", "web"]
    arguments = site.arguments(allowlists=str(site.lists), roles=["db"], keep_days=5)
    assert set(arguments) == {"keep_days", "_content"}


def test_host_without_an_allowlist_only_learns(site: Site) -> None:
    (site.lists / "db.yml").write_text("role: db\nhosts: [db1]\n")
    assert allowlist(site) is None
    assert site.arguments() == {}


def test_wrong_allowlist_is_named_before_a_host_is_asked(site: Site) -> None:
    (site.lists / "web.yml").write_text("role: web\nallow: [{package: nginx}]\n")
    with pytest.raises(ContentError, match=r"^web\.yml: allow: entry 1: field 'manager' is missing"):
        allowlist(site)
    with pytest.raises(ContentError, match=r"^allowlists: .* cannot be read"):
        site.arguments(allowlists=str(site.lists / "missing"))


def answer(*detections: t.Any, **others: t.Any) -> dict[str, t.Any]:
    return {
        "changed": False,
        "detections": list(detections),
        "coverage": [ScopeCoverage("programs").entry()],
        "programs": [],
        "program_host": {"distribution": "debian 12", "since": 1.0, "until": 2.0, "days": 1, "roles": ["web"]},
        "ended": [],
        **others,
    }


def violation(sha256: str) -> dict[str, t.Any]:
    evidence = {"file": {"name": "tool", "path": TOOL, "type_id": 1}, "data": {"sha256": sha256}}
    return detection("app_unapproved_program", TOOL, "programs", [evidence], message="It ran.")


def test_run_goes_on_from_the_checkpoint_that_the_store_has(site: Site) -> None:
    with site.store() as store:
        programs.record(store, host="web1", token="the-token")
    site.result(answer(), run="1")
    site.result(answer())
    assert site.asked == [{"_advance": True, "_token": "the-token"}, {}]


def test_finding_says_which_other_hosts_have_the_program(site: Site) -> None:
    with site.store() as store:
        for host, digest in (("web1", "a"), ("web2", "a"), ("db1", "b")):
            programs.record(store, programs.sighting(programs.program(TOOL, sha256=digest * 64)), host=host)
    result = site.result(answer(violation("a" * 64)))
    (finding,) = result["findings"]
    assert finding["evidences"][0]["data"]["other_hosts"] == {
        "same_content": {"count": 1, "hosts": ["web2"]},
        "same_path": {"count": 2, "hosts": ["db1", "web2"]},
    }
    assert finding["message"] == "It ran. Other hosts with this content: web2."
    (finding,) = site.result(answer(violation("c" * 64)))["findings"]
    assert finding["message"] == "It ran. Other hosts with another content at this path: db1, web2."


def test_what_the_store_records_of_programs_is_passed_on(site: Site) -> None:
    result = site.result(answer(programs=[programs.sighting(TOOL)]))
    assert [each["path"] for each in result["programs"]] == [TOOL]
    assert result["program_host"]["groups"] == ["shop", "web"]
    assert result["program_host"]["roles"] == ["web"]


def test_only_the_allowlist_of_the_controller_ends_a_finding(site: Site) -> None:
    """A host in an attacker's hands may say that its findings ended."""
    tampered = detection(
        "app_state_tampered", "checkpoint of app_control", "programs", [], message="It is not the same."
    )
    with site.store() as store:
        found = [
            events.finding(each, catalogue.load(), events.Device("web1"), programs.DAY)
            for each in (reported(TOOL, "a" * 64), reported("/tmp/x", "b" * 64), tampered)
        ]
        programs.record(store, host="web1", findings=found)
    said = [
        {"alert": alert, "subject": subject, "reason": "Allowed: exception by alice"}
        for alert, subject in (
            ("app_unapproved_program", TOOL),
            ("app_unapproved_program", "/tmp/x"),
            ("app_state_tampered", "checkpoint of app_control"),
        )
    ]
    (site.lists / "web.yml").write_text(f"role: web\nhosts: [web1]\nallow: [{{sha256: {'a' * 64}}}]\n")
    ended = site.result(answer(ended=said), allowlists=str(site.lists))["ended"]
    reason = "Allowed: the sha256 rule of web"
    assert ended == [{"alert": "app_unapproved_program", "subject": TOOL, "reason": reason}]
    assert site.result(answer(ended=said))["ended"] == []


def test_what_enforces_ends_its_findings_where_it_is_meant_to(site: Site) -> None:
    watcher = "/var/lib/bulwark/app_enforcement/watcher.py"
    daemon = {"package": "fapolicyd", "manager": "dpkg", "verification": "verified"}
    digest = own_programs.digests()["watcher.py"]
    programs_seen = (
        reported("/usr/sbin/fapolicyd", "a" * 64, **daemon),
        reported(watcher, digest, kind="script"),
        # Not where we leave it, and not what we leave there.
        reported("/tmp/watcher.py", digest, kind="script"),
        reported("/var/lib/bulwark/app_enforcement/hook.pyz", "b" * 64, kind="script"),
        reported("/usr/sbin/fapolicyd-cli", "c" * 64, **{**daemon, "verification": "modified"}),
    )
    with site.store() as store:
        found = [events.finding(each, catalogue.load(), events.Device("web1"), programs.DAY) for each in programs_seen]
        programs.record(store, host="web1", findings=found)
    said = [{"alert": each["alert"], "subject": each["subject"], "reason": "x"} for each in programs_seen]
    (site.lists / "web.yml").write_text("role: web\nhosts: [web1]\nallow: []\n")
    given = {"allowlists": str(site.lists)}
    assert site.result(answer(ended=said), **given)["ended"] == []
    ended = site.result(answer(ended=said), **given, mode="enforce")["ended"]
    assert sorted((each["subject"], each["reason"]) for each in ended) == [
        ("/usr/sbin/fapolicyd", "Allowed: package fapolicyd of the enforcement"),
        (watcher, "Allowed: a program of the collection"),
    ]
    elsewhere = site.result(answer(ended=said), **given, mode="enforce", state_dir="/srv/state")["ended"]
    assert [each["subject"] for each in elsewhere] == ["/usr/sbin/fapolicyd"]


def reported(path: str, sha256: str, **facts: str) -> dict[str, t.Any]:
    """Return a finding as the module makes it."""
    program = Program(
        **{"kind": "program", "path": path, "sha256": sha256, "verification": "unpackaged", "owner": "root", **facts}
    )
    record = Record(program, programs.DAY, programs.DAY, [1], executions=1, new_executions=1)
    verdict = Verdict(False, "no", UNAPPROVED_ALERTS[program.kind])
    return violation_detection(Violation(record, verdict, False), "programs")


def test_other_modules_can_not_say_anything_about_programs() -> None:
    """A host in an attacker's hands may answer so, to have findings resolved."""
    action: t.Any = audit_events_info.ActionModule.__new__(audit_events_info.ActionModule)
    action._task = types.SimpleNamespace(args={}, action="x", check_mode=False, delegate_to=None)
    said = {name: [{"alert": "app_unapproved_program"}] for name in ("programs", "program_host", "ended")}
    assert action.result({"changed": False, **said}, {}, VARS) == {"changed": False, "capability": "audit"}


def test_the_digests_of_our_own_programs_are_those_of_what_is_deployed() -> None:
    hook = hook_files.files("/var/lib/bulwark")["/var/lib/bulwark/app_enforcement/hook.pyz"]
    (watcher,) = watchers.own(True, "/var/lib/bulwark/app_enforcement")
    digests = {"hook.pyz": hashlib.sha256(hook.content).hexdigest(), "watcher.py": watcher.sha256}
    assert own_programs.digests() == own_programs.digests() == digests
