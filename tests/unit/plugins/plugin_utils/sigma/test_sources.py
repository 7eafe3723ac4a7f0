# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which view of an event a rule's log source stands for."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import ForeignError, UnusableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import sources_of

from tests.support.sigma import matches, rule

LINUX = {"product": "linux"}


@pytest.mark.parametrize(
    ("logsource", "names"),
    [
        ({**LINUX, "category": "process_creation"}, ["process_creation"]),
        ({"category": "process_creation"}, ["process_creation"]),
        ({**LINUX, "category": "network_connection"}, ["network_connection"]),
        ({**LINUX, "category": "file_event"}, ["file_event"]),
        ({**LINUX, "category": "file_delete"}, ["file_event"]),
        ({**LINUX, "service": "auditd"}, ["auditd"]),
        ({**LINUX, "service": "sshd"}, ["log"]),
        ({**LINUX, "service": "auth"}, ["log"]),
        ({**LINUX, "category": "sign_in"}, ["sign_in"]),
        ({**LINUX, "service": "audit_record"}, ["audit_record"]),
        (LINUX, ["log", "process_creation"]),
    ],
)
def test_a_log_source_is_a_view(logsource: dict[str, str], names: list[str]) -> None:
    asked = (logsource.get("category"), logsource.get("product"), logsource.get("service"))
    assert [source.name for source in sources_of(*asked, ())] == names


@pytest.mark.parametrize(
    "logsource", [("dns_query", "linux", None), (None, "linux", "modsecurity"), (None, None, None)]
)
def test_what_is_nowhere_on_a_host_is_named(logsource: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(UnusableError, match="nothing on a host is read for"):
        sources_of(*logsource, fields=())


@pytest.mark.parametrize("product", ["windows", "macos", "aws"])
def test_other_systems_are_foreign(product: str) -> None:
    with pytest.raises(ForeignError):
        sources_of("process_creation", product, None, ())


@pytest.mark.parametrize(
    ("category", "action", "expected"),
    [
        ("file_event", "create", True),
        ("file_event", "rename", True),
        ("file_event", "delete", False),
        ("file_event", "chmod", False),
        ("file_delete", "delete", True),
        ("file_delete", "create", False),
        ("file_rename", "rename", True),
        ("file_change", "chmod", True),
    ],
)
def test_a_category_of_files_means_some_actions(category: str, action: str, expected: bool) -> None:
    given = rule(
        {"s": {"TargetFilename|startswith": "/etc/"}, "condition": "s"}, logsource={**LINUX, "category": category}
    )
    assert matches(given, {"TargetFilename": "/etc/x", "Action": action}) is expected


def test_a_rule_that_names_actions_means_those() -> None:
    detection: dict[str, t.Any] = {"s": {"TargetFilename": "/etc/x", "Action": "chmod"}, "condition": "s"}
    given = rule(detection, logsource={**LINUX, "category": "file_event"})
    assert matches(given, {"TargetFilename": "/etc/x", "Action": "chmod"})
    assert not matches(given, {"TargetFilename": "/etc/x", "Action": "create"})


def test_a_service_is_what_its_programs_write() -> None:
    given = rule({"k": ["bad"], "condition": "k"}, logsource={**LINUX, "service": "sshd"})
    assert matches(given, {"Program": "sshd-session", "Message": "a bad key"})
    assert not matches(given, {"Program": "cron", "Message": "a bad key"})
