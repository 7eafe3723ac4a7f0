# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of alerts on Windows hosts: complete, tested, and of one mind with what hosts find out themselves.

``tests/content/audit/test_defender.py`` compares the rows of Defender for Cloud with the published ones.
"""

from __future__ import annotations

import importlib
import itertools
import pathlib
import re
import types
import typing as t

import docutils.core
import docutils.nodes
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists import options
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.rules import compile_lists

from tests.content.audit import harness
from tests.support import paths
from tests.support.windows import toolchain
from tests.unit.windows.driver import Driver, call

ALERTS = list(catalogue.load())
ENTRIES = {
    "address": "192.0.2.1",
    "domain": "bad.example",
    "hash": "0123456789abcdef" * 4,
    "name": "evil.exe",
    "pattern": "evil.+",
}
TABLE = paths.ROOT / "plugins/module_utils/windows/audit_policy/Subcategories.cs"
_SUBCATEGORY = re.compile(r'["|]([0-9A-F]{2}) ([^"|]+)')
# What hosts call settings that are no subcategories.
SETTINGS = {
    "command_lines": {"command lines in 4688"},
    "powershell_script_blocks": {"Microsoft-Windows-PowerShell/Operational", "PowerShell script block logging"},
    "Sysmon": {"Microsoft-Windows-Sysmon/Operational"},
    "name_lookups": {"Microsoft-Windows-DNS-Client/Operational"},
    "audit entries of your own": set(),
}


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.syspath_prepend(str(paths.ROOT / "tools"))
    return importlib.import_module("windows_reference")


def compiled() -> tuple[dict[str, t.Any], dict[str, str]]:
    return harness.rules(WINDOWS).payload, {rule["id"]: rule["name"] for rule in harness.sources().values()}


def published(reference: types.ModuleType) -> tuple[list[t.Any], str]:
    rules, ways = reference.load(ALERTS)
    rows = reference.rows(catalogue.load().alert, rules)
    return rows, reference.page(ALERTS, ways, rows)


def test_the_page_has_each_alert_for_windows_and_each_row_once(reference: types.ModuleType) -> None:
    rows, page = published(reference)
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    text = page.replace(":ref:", "").replace(":ansplugin:", "")
    document = docutils.core.publish_doctree(text, settings_overrides=settings)
    needs, defender = (
        [[cell.astext() for cell in row.findall(docutils.nodes.entry)] for row in table.findall(docutils.nodes.row)][1:]
        for table in document.findall(docutils.nodes.table)
    )
    assert len(needs) == sum(WINDOWS in alert.platforms for alert in ALERTS)
    assert all(cells[2] for cells in needs)
    assert [cells[0] for cells in defender] == [row.name for row in rows]
    assert len({row.name for row in rows}) == len(rows)
    assert all(cells[3] for cells in defender)


def test_each_row_has_alerts_with_tested_detections_or_a_reason(reference: types.ModuleType) -> None:
    rows, _page = published(reference)
    # All but what only memory, application control or Azure's control plane shows.
    assert (len(rows), sum(bool(row.alerts) for row in rows)) == (97, 87)
    cases = {(case.rule, case.raised) for case in harness.load(WINDOWS)}
    for row in rows:
        assert bool(row.alerts) == bool(row.rules) != bool(row.reason), row.name
        assert all(WINDOWS in alert.platforms for alert in row.alerts), row.name
        # test_threat_lists.py has the cases of the lists.
        for rule in set(row.rules) - {"your threat lists"}:
            assert {(rule, True), (rule, False)} <= cases, f"{row.name}: {rule}"


def test_threat_lists_need_what_their_entries_are_looked_for_in(
    reference: types.ModuleType, tmp_path: pathlib.Path
) -> None:
    found: dict[str, set[t.Any]] = {}
    for kind, entry in ENTRIES.items():
        path = tmp_path / kind
        path.write_text(f"{entry}\n", encoding="utf-8")
        lists = options.checked([{"name": kind, "path": str(path), "kind": kind}])
        for rule in compile_lists(lists, None, WINDOWS).rules:  # type: ignore[arg-type]  # only lists of STIX expire
            for field in rule["condition"][2]:
                found.setdefault(rule["alert"], set()).update(
                    reference.ways_of(rule["source"], ["text", field, "equals", [""]])
                )
    assert reference.THREAT_LISTS.keys() == found.keys()
    for alert, ways in found.items():
        least = {way for way in ways if not any(other < way for other in ways)}
        audited = {way | {reference.OWN_AUDITING} if "object_changes" in way else way for way in least}
        assert reference.THREAT_LISTS[alert] == audited, alert


def test_files_and_keys_that_are_not_audited_are_named(reference: types.ModuleType) -> None:
    seen: dict[str, bool] = {}
    parts = {
        rule["name"]: rule.get("correlation", {}).get("rules", [rule["name"]]) for rule in harness.sources().values()
    }
    for case in harness.load(WINDOWS):
        for event in case.events if case.raised else ():
            name = next((event.view[field] for field in ("TargetObject", "TargetFilename", "FileName")
                         if field in event.view), None)  # fmt: skip
            if name is not None and event.source in ("registry_set", "registry_event", "file_event", "file_access"):
                for rule in parts[case.rule]:
                    seen[rule] = seen.get(rule, False) or reference.is_audited(name)
    assert {rule for rule, is_audited in seen.items() if not is_audited} == {
        rule for rule, name in reference.OBJECTS.items() if not reference.is_audited(name)
    }


@pytest.mark.requires(*toolchain.MONO)
def test_hosts_find_rules_possible_in_just_these_ways(reference: types.ModuleType) -> None:
    script = pathlib.Path(__file__).parents[1] / "windows" / "EventsScript.cs"
    driver = Driver("events.Views", "events.Requirements", sources=[script])
    guids = {
        name: f"0CCE92{byte}-69AE-11D9-BED3-505054503030" for byte, name in _SUBCATEGORY.findall(TABLE.read_text())
    }
    recorded_by = {
        **SETTINGS,
        **{
            name: {f"{guids[each['name']]}/success" for each in group.settings["subcategories"]}
            for name, group in windows_policy.load().items()
            if group.settings["subcategories"]
        },
    }

    def recorded(names: t.Iterable[str]) -> list[str]:
        found = {"Security"} if any(name == f"{reference.LOG}Security" for name in names) else set()
        for name in names:
            if name.startswith(reference.SUBCATEGORY):
                found.add(f"{guids[name.removeprefix(reference.SUBCATEGORY)]}/success")
            else:
                found |= recorded_by.get(name, {name.removeprefix(reference.LOG)})
        return sorted(found)

    payload, names = compiled()
    cases, expected = [], []
    for rule in payload["rules"]:
        if rule["source"] == "sign_in":  # several logs of which each is enough: sign_ins/Needs.cs judges them
            continue
        ways = reference.ways_of(rule["source"], rule["condition"], names[rule["id"]])
        offered = [recorded(way) for way in ways]
        # Nothing, each way, and each way without one of its settings, unless that is a way, too.
        fewer = [
            recorded(chosen)
            for way in ways
            for chosen in itertools.combinations(
                sorted(way - {reference.OWN_AUDITING}), len(way - {reference.OWN_AUDITING}) - 1
            )
        ]
        for settings, is_enough in [*((each, True) for each in offered), *((each, False) for each in fewer)]:
            cases.append(call("EventsScript.Missing", settings, rule["source"], rule["condition"]))
            expected.append((names[rule["id"]], settings, is_enough))
    for (name, settings, is_enough), outcome in zip(expected, driver.run(cases), strict=True):
        assert outcome.error is None, outcome.message
        assert (outcome.result is None) is is_enough, (name, settings, outcome.result)
