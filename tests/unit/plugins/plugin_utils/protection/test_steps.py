# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy each capability on hosts that answer as the modules do; the playbook's own tests have real ones."""

from __future__ import annotations

import importlib
import types
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy
from ansible_collections.bulwark.servers.plugins.plugin_utils.protection import deploying, summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.protection.steps import StepError, Steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables

POLICY = {"changed": True, "settings_count": 3, "changes": [1, 2], "not_deployed": [], "missing": [], "left": []}
AUDIT = {"changed": True, "status": {"pid": 7}, "rules_count": 3, "added": [1], "removed": [], "not_deployed": []}


class Host:
    """Answers steps, and notes which there were."""

    def __init__(self, **answers: dict[str, t.Any]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, bool]] = []
        self.options: dict[str, t.Any] = {}

    def __call__(self, name: str, options: dict[str, t.Any], is_check: bool) -> dict[str, t.Any]:
        module = name.rpartition(".")[2]
        self.asked.append((module, is_check))
        self.options = options
        if module == "stat":
            return {"stat": {"exists": options["path"] in self._answers}}
        return self._answers.get(module, {"changed": True})


def steps(capability: str, host: Host, *, is_check: bool = False, platform: str = "linux", **variables: t.Any) -> Steps:
    given = RoleVariables(capability, {"ansible_facts": {}, **variables}, Templar(DataLoader()))
    made = Steps(capability, given, host, is_check=is_check, platform=platform)
    deploying.deploy(capabilities.load()[capability], made)
    return made


def test_a_difference_that_is_no_text_breaks_no_summary() -> None:
    hostile = [{"before": 5, "after": ["x\n"], "after_header": {"a": 1}}, {"before": None, "after": "rule\n"}, 7]
    made = steps("audit", Host(audit_rules={**AUDIT, "conflicts": [], "diff": hostile}), audit_install=False)
    results = {"web1": {"differences": made.differences}, "web2": {"differences": [{"before": "", "after": "good\n"}]}}
    assert "+good" in summary.difference(results, is_full=True).splitlines()


def test_audit_rules_that_are_taken_back_are_not_called_wanted() -> None:
    removed = {**AUDIT, "rules_count": 0, "added": [], "removed": [1, 2]}
    host = Host(audit_rules=removed)
    done = steps("audit", host, audit_rules_state="absent")
    assert (done.protected, done.taken_back) == ([], ["2 audit rules were removed."])
    assert steps("audit", Host(audit_rules={**removed, "changed": False}), audit_rules_state="absent").taken_back == []


def test_windows_gets_the_audit_policy_and_no_linux_rule() -> None:
    ruled = {"subject": "log Security", "reason": "the group policy X sets it to disabled"}
    answer = {**POLICY, "not_deployed": [ruled] * 4, "diff": {"before": "a\n", "after": "b\n"}}
    host = Host(win_audit_policy=answer)
    done = steps("audit", host, platform="windows", audit_rules=["-D"], audit_groups=["processes"])
    assert host.asked == [("win_audit_policy", False)]
    known = set(windows_policy.apply_spec())
    assert set(host.options) <= known
    assert (host.options["state"], host.options["groups"]) == ("present", ["processes"])
    assert "state_dir" not in host.options
    named = "log Security (the group policy X sets it to disabled)"
    sentence = "3 settings of the audit policy are wanted, 2 were changed; not deployed:"
    assert done.protected == [f"{sentence} {named}, {named}, {named} and 1 more."]
    assert (done.changed, done.differences) == (True, [{"before": "a\n", "after": "b\n"}])
    check = steps("audit", Host(win_audit_policy=POLICY), platform="windows", is_check=True)
    assert check.protected == ["3 settings of the audit policy are wanted, 2 would be changed."]


def test_the_audit_policy_of_windows_is_taken_back() -> None:
    def taken_back(**answer: t.Any) -> list[str]:
        host = Host(win_audit_policy={**POLICY, **answer})
        done = steps("audit", host, platform="windows", audit_rules_state="absent")
        assert (done.protected, done.unprotected, host.options["state"]) == ([], [], "absent")
        return done.taken_back

    assert taken_back() == ["2 settings of the audit policy were taken back."]
    assert taken_back(changed=False, changes=[]) == []
    left = [{"subject": "log A", "reason": "it was changed to disabled since"}]
    assert taken_back(left=left) == [
        "2 settings of the audit policy were taken back; left: log A (it was changed to disabled since)."
    ]


def test_an_audit_policy_that_fails_half_way_counts_as_changed_and_names_the_variable() -> None:
    failed = {"failed": True, "changed": True, "msg": "1 failed; the others are noted, so that state=absent takes them"}
    host = Host(win_audit_policy=failed)
    given = RoleVariables("audit", {"ansible_facts": {}}, Templar(DataLoader()))
    made = Steps("audit", given, host, is_check=False, platform="windows")
    with pytest.raises(StepError, match="so that audit_rules_state=absent takes them"):
        deploying.deploy(capabilities.load()["audit"], made)
    assert made.changed


@pytest.mark.parametrize(
    ("capability", "variable", "module", "sentence"),
    [
        ("jit_access", "jit_access_state", "jit_access", "No port is locked any more."),
        (
            "network_hardening",
            "network_hardening_recorder_state",
            "traffic_recorder",
            "The kernel records no connections any more.",
        ),
        (
            "network_hardening",
            "network_hardening_rules_state",
            "network_rules",
            "No network rules are in force any more.",
        ),
    ],
)
def test_only_what_was_deployed_is_taken_back(capability: str, variable: str, module: str, sentence: str) -> None:
    def taken_back(*, changed: bool) -> list[str]:
        return steps(capability, Host(**{module: {"changed": changed}}), **{variable: "absent"}).taken_back

    assert (taken_back(changed=True), taken_back(changed=False)) == ([sentence], [])


def test_a_missing_daemon_is_installed_and_started() -> None:
    host = Host(audit_rules={**AUDIT, "status": {"pid": 0}, "conflicts": []}, package={"changed": True})
    done = steps("audit", host, audit_packages=["auditd"])
    assert done.protected == ["3 audit rules are wanted, 1 were loaded and 0 removed; auditd was installed."]
    assert [name for name, _is_check in host.asked if name != "stat"] == [
        "audit_rules",
        "package",
        "service",
        "audit_rules",
    ]
    check = steps("audit", host, is_check=True, audit_packages=["auditd"])
    assert check.protected[0].endswith("1 would be loaded and 0 removed; auditd would be installed and started.")


def test_a_container_is_told_apart_before_anything_is_installed() -> None:
    host = Host(audit_rules={"changed": False, "coverage": [{"reason": "This is a container."}]})
    done = steps("audit", host)
    assert (done.unprotected, host.asked) == (["This is a container."], [("audit_rules", True)])


def test_nothing_is_asked_where_nothing_is_wanted() -> None:
    for capability in ("jit_access", "network_hardening", "edr"):
        host = Host()
        done = steps(capability, host)
        assert (host.asked, done.protected, done.by_role) == ([], [], False)


def test_a_failure_names_the_variable_and_keeps_what_was_done_before() -> None:
    host = Host(
        **{"/usr/sbin/nft": {}},
        network_rules={"failed": True, "msg": "blocked has an entry that is not an address"},
        traffic_recorder={"changed": True},
    )
    given = RoleVariables(
        "network_hardening",
        {"network_hardening_directions": ["in"], "network_hardening_blocked": ["x"]},
        Templar(DataLoader()),
    )
    made = Steps("network_hardening", given, host, is_check=False)
    with pytest.raises(StepError, match=r"^network_hardening_blocked has an entry that is not an address"):
        deploying.deploy(capabilities.load()["network_hardening"], made)
    assert made.protected == ["The kernel records who connects (in)."]


def test_warnings_name_variables_too() -> None:
    warning = "Nobody may come in: name fewer in always_allow."
    host = Host(**{"/usr/sbin/nft": {}}, jit_access={"changed": True, "warnings": [warning, warning]})
    done = steps("jit_access", host, jit_access_ports=[{"port": 22}])
    assert done.warnings == ["Nobody may come in: name fewer in jit_access_always_allow."]


def test_a_package_that_cannot_be_installed_names_its_variable() -> None:
    host = Host(package={"failed": True, "msg": "no such package"})
    with pytest.raises(StepError, match=r"nftables \(jit_access_packages\) could not be installed: no such package"):
        steps("jit_access", host, jit_access_ports=[{"port": 22}])


def test_only_the_users_role_for_endpoint_protection_is_left_to_tasks() -> None:
    assert steps("edr", Host(), edr_deploy_role="mine").by_role


@pytest.mark.parametrize("capability", [each.id for each in capabilities.load().values() if each.has_protection])
def test_options_come_from_variables_that_there_are(capability: str) -> None:
    module = importlib.import_module(
        f"ansible_collections.bulwark.servers.plugins.plugin_utils.{capability}.protection"
    )
    given = RoleVariables(capability, {}, Templar(DataLoader()))
    for options in _options(module):
        for variable in options.values():
            assert variable == "bulwark_store" or given.value(variable) is not None, variable


def _options(module: types.ModuleType) -> list[dict[str, str]]:
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, dict) and name.startswith("_") and not name.startswith("__")
    ]
