# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that a host kept and that is another one now is a finding."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import Device
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import tampering
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Tampered

_DEVICE = Device("web1")


def test_nothing_is_recorded_where_all_is_as_it_was() -> None:
    assert tampering.records([], ["file_integrity"], _DEVICE, 0.0) == []


def test_each_file_is_a_finding_of_file_integrity() -> None:
    files = [Tampered(f"/var/lib/bulwark/scan/code-{number}", "was changed") for number in (1, 2)]
    (record,) = tampering.records(files, ["file_integrity"], _DEVICE, 1_780_228_800.0)
    assert record.problem is None
    assert record.result.capability == "file_integrity"
    (entry,) = record.result.coverage
    assert (entry["scope"], entry["status"], entry["examined"]) == ("kept_code", "checked", 2)
    findings = record.result.findings
    assert [found["metadata"]["event_code"] for found in findings] == ["scan_code_changed"] * 2
    assert [found["unmapped"]["subject"] for found in findings] == [file.subject for file in files]
    assert {found["severity"] for found in findings} == {"High"}
    assert "It was changed; it was not run, and everything was sent again." in str(findings[0])


def test_a_scan_that_compares_no_files_does_not_look_as_if_it_had() -> None:
    (record,) = tampering.records([Tampered("/x", "was changed")], ["memory_scan"], _DEVICE, 1_780_228_800.0)
    statuses = {entry["scope"]: entry["status"] for entry in record.result.coverage}
    assert statuses == {"kept_code": "checked", "file_integrity": "not_checked"}
