# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that an intruder can write into a command line, a title or a name silences or lowers an alert."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue

from tests.content.audit import harness

# What disables protection, hides traces or destroys data keeps its severity, whoever does it.
_KEPT = (
    *("T1070.001", "T1070.002", "T1070.003", "T1070.004"),
    *("T1485", "T1486", "T1489", "T1490", "T1495", "T1498", "T1499", "T1529", "T1561", "T1562"),
)
# What is written into a file of settings is compared with what is wanted, and what it does when it is loaded is seen by
# other rules.
_SETTINGS = "file_event"
# What protect and scans do themselves; each scan compares the rules that are left with those that are wanted.
_OWN_DOING = {
    "audit_rules_added",
    "audit_rules_of_ours_removed",
    "audit_socket_opened",
    "audit_socket_opened_by_interpreter",
}
_LINES = (
    "/bin/sh -c echo BECOME-SUCCESS-abcdefgh ; /usr/bin/python3 /root/.ansible/tmp/ansible-tmp-1/AnsiballZ_user.py",
    "/bin/sh -c /usr/bin/python3 && sleep 0",
    "puppet agent: applying configuration",
    "/opt/puppetlabs/puppet/bin/puppet agent",
    "chef-client worker",
    "cf-agent",
    "/usr/bin/salt-call state.apply",
    "/usr/bin/cloud-init modules",
)
_PROGRAMS = (
    "/usr/bin/python3",
    "/opt/puppetlabs/puppet/bin/puppet",
    "/opt/chef/bin/chef-client",
    "/usr/bin/salt-minion",
)
_RAISED = [case for case in harness.load() if case.raised]


def with_marks(case: harness.Case, line: str) -> tuple[harness.Event, ...]:
    """Return the events of a case below automation, as its processes' command lines and names say."""

    def changed(view: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        if "Type" in view and "ProcessId" not in view:
            return dict(view)
        above = view.get("AncestorImages", ())
        return {
            **view,
            "GrandparentCommandLine": f"{view.get('GrandparentCommandLine', '')} {line}".strip(),
            "ParentCommandLine": f"{line} {view.get('ParentCommandLine', '')}".strip(),
            "AncestorImages": [*([above] if isinstance(above, str) else above), *_PROGRAMS],
        }

    return tuple(event._replace(view=changed(event.view)) for event in case.events)


@pytest.mark.parametrize("line", _LINES)
def test_no_mark_of_automation_silences_a_case(line: str) -> None:
    silent = [case.title for case in _RAISED if not _identifiers(with_marks(case, line)) & {_identifier(case)}]
    assert silent == []


@pytest.mark.parametrize(
    ("command", "alert"),
    [
        ("dd if=/dev/zero of=/dev/sda bs=1M", "disk_wiped"),
        ("auditctl -e 0", "audit_disabled"),
        ("passwd -d root", "password_deleted"),
    ],
)
@pytest.mark.parametrize("mark", ["%s && sleep 0", "echo BECOME-SUCCESS-x ; %s", "%s # AnsiballZ_command.py"])
def test_a_shell_with_a_mark_and_what_it_starts_keep_their_alert(command: str, alert: str, mark: str) -> None:
    shell = ["bash", "-c", mark % command]
    common = {"User": "root", "AuditUser": "alice"}
    views: list[dict[str, t.Any]] = [
        {**common, "Image": "/usr/bin/bash", "CommandLine": " ".join(shell), "Argv": shell},
        {
            **common,
            "Image": f"/usr/bin/{command.split(maxsplit=1)[0]}",
            "CommandLine": command,
            "Argv": command.split(),
            "ParentImage": "/usr/bin/bash",
            "ParentCommandLine": " ".join(shell),
            "AncestorImages": ["/usr/bin/bash"],
        },
    ]
    raised = harness.rules().raised([harness.Event("process_creation", 0.0, view) for view in views])
    found = {each.alert: each.rule for each in raised}
    assert alert in found
    (rule,) = [rule for rule in harness.sources().values() if rule["id"] == found[alert]]
    assert "automation" not in rule["bulwark"].get("explained_by", {})


def test_what_disables_protection_or_destroys_data_keeps_its_severity() -> None:
    known = catalogue.load()
    lowered = []
    for name, rule in harness.sources().items():
        kinds = rule.get("bulwark", {}).get("explained_by", {})
        alert = rule.get("bulwark", {}).get("alert")
        techniques = [reference.technique for reference in known.alert(alert).attack] if alert else []
        tags = [str(tag)[len("attack.") :].upper() for tag in rule.get("tags", ())]
        kept = [one for one in (*techniques, *tags) if one.startswith(_KEPT)]
        is_exempt = name in _OWN_DOING or rule.get("logsource", {}).get("category") == _SETTINGS
        if kept and "automation" in kinds and not is_exempt:
            lowered.append((name, sorted(set(kept))))
    assert lowered == []


def test_an_explanation_leaves_what_people_can_look_at() -> None:
    for name, rule in harness.sources().items():
        kinds = rule.get("bulwark", {}).get("explained_by", {})
        assert set(kinds.values()) <= {"informational", "low"}, name


def _identifier(case: harness.Case) -> str:
    return str(harness.sources()[case.rule]["id"])


def _identifiers(events: t.Iterable[harness.Event]) -> set[str]:
    return {raised.rule for raised in harness.rules().raised(events)}
