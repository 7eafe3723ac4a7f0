# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import from_results, model, table
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Coverage

from tests.unit.plugins.plugin_utils.report import stored

TITLE = "A packaged program does not match its package"
WANTED = table.Row("critical", "new", "web1", TITLE, "/bin/ls", "package_file_modified")


def test_a_finding_of_a_module_makes_a_row() -> None:
    assert from_results.rows([stored.event("web1", "/bin/ls")]) == [WANTED]


def test_a_finding_of_the_store_makes_the_same_row() -> None:
    with stored.store() as opened:
        stored.record(opened, "web1", [stored.event("web1", "/bin/ls")], now=1)
        (finding,) = opened.query(now=2)
    # Only what is in the store can be decided about.
    assert from_results.rows([dataclasses.asdict(finding)]) == [dataclasses.replace(WANTED, uid=finding.uid)]


def test_coverage_of_a_module_and_of_the_store_mean_the_same() -> None:
    scope = _finding.ScopeCoverage("programs")
    scope.skip("/bin/secret", "Permission denied.")
    entry = {
        **scope.entry(),
        "explained": [{"by": "bash 5.2", "count": 3, "examples": ["/bin/bash"]}],
        "explained_count": 4,
        "note": "A note.",
    }
    kept = dataclasses.asdict(Coverage("r", "web1", "fim", "partial", (entry,), 1.0, 1.0, None))
    (now,) = from_results.entries([entry], "web1", "fim")
    (later,) = from_results.entries([kept], "", "")
    # Only the store knows when a host was last checked.
    assert (now.time, later.time) == (None, 0)
    assert now == dataclasses.replace(later, time=None)
    assert now.skipped == (("/bin/secret", "Permission denied."),)
    assert now.explained == (model.Explained("bash 5.2", 3, ("/bin/bash",)),)
    assert (now.explained_count, now.note) == (4, "A note.")


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        ("text", "findings is not a list but of type str"),
        ([7], r"findings\[0\] is not a mapping but of type int"),
        ([{}], r"findings\[0\] has a severity that is not one of critical, high"),
        ([{"severity": "low", "status": "lost"}], r"findings\[0\] has a status that is not one of new, open"),
        ([{"severity": "low", "status": "new"}], r"findings\[0\] has no text in 'host'"),
        ([{"finding_info": {}}], r"findings\[0\] is not a mapping but of type NoneType"),
    ],
)
def test_what_is_no_finding_is_named(findings: t.Any, message: str) -> None:
    with pytest.raises(from_results.ResultError, match=message):
        from_results.rows(findings)


@pytest.mark.parametrize(
    ("coverage", "message"),
    [
        ({}, "coverage is not a list but of type dict"),
        (
            [{"scope": "x", "status": "fine"}],
            r"coverage\[0\] has a status that is not one of checked, partial, not_checked",
        ),
        ([{"status": "checked"}], r"coverage\[0\] has no text in 'scope'"),
        ([{"entries": [], "host": 3}], r"coverage\[0\] has no text in 'host'"),
        ([{"scope": "x", "status": "partial", "skipped": "all"}], r"coverage\[0\] is not a list but of type str"),
    ],
)
def test_what_is_no_coverage_is_named(coverage: t.Any, message: str) -> None:
    with pytest.raises(from_results.ResultError, match=message):
        from_results.entries(coverage, "web1", "fim")
