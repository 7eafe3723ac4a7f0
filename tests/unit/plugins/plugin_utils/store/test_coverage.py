# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import coverage

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked


def test_a_scope_that_was_asked_for_and_is_missing_was_not_checked() -> None:
    entries = coverage.checked([checked("etc")], CAPABILITY, ["usr", "etc", "usr"])
    assert [(entry["scope"], entry["status"]) for entry in entries] == [("etc", "checked"), ("usr", "not_checked")]
    assert entries[1]["reason"] == "the module was asked to look at it, and its answer says nothing of it"
    assert coverage.summary(entries) == "partial"


def test_a_scope_beyond_those_that_are_kept_was_not_checked() -> None:
    names = [f"scope{number}" for number in range(1_001)]
    entries = coverage.checked([checked(name) for name in names], CAPABILITY, names)
    assert [entry["scope"] for entry in entries if entry["status"] == "not_checked"] == [CAPABILITY, "scope1000"]


@pytest.mark.parametrize("answer", [[], None, [not_checked(CAPABILITY, "no interpreter")]])
def test_where_nothing_was_looked_at_one_entry_says_it_of_all(answer: t.Any) -> None:
    (entry,) = coverage.checked(answer, CAPABILITY, ["etc", "usr"])
    assert (entry["scope"], entry["status"]) == (CAPABILITY, "not_checked")


def test_a_capability_that_says_it_was_checked_vouches_for_no_scope() -> None:
    entries = coverage.checked([checked(CAPABILITY)], CAPABILITY, ["etc"])
    assert [(entry["scope"], entry["status"]) for entry in entries] == [(CAPABILITY, "checked"), ("etc", "not_checked")]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("it failed: no  python", "it failed: no  python"),
        # What ssh says on a connection without a terminal of its own.
        ("Host key verification failed.\r\n", "Host key verification failed."),
        ("Permission denied\r\n\r\n  try again\r\n", "Permission denied try again"),
        ("\r\n\x1b[2J\rhidden\n", "\\x1b[2J hidden"),
        ("x" * 3_000 + "\r\n" * 9_000, "x" * 1_985 + "... (shortened)"),
        ("\r \n" * 9_000_000, ""),
    ],
    ids=len,
)
def test_a_reason_is_one_line(reason: str, line: str) -> None:
    skipped = {"subject": "/etc/a", "reason": reason}
    (entry,) = coverage.checked([checked("etc", reason=reason, note=reason, skipped=[skipped])], CAPABILITY)
    assert [entry["reason"], entry["note"], entry["skipped"][0]["reason"]] == [line] * 3


@pytest.mark.parametrize(
    ("skipped", "subject", "is_gone"),
    [
        ("/opt/a.war", "/opt/a.war!/WEB-INF/lib/b.jar", False),
        ("container:shop:1", "container:shop:1!openssl", False),
        ("container:shop:1", "container:shop:12!openssl", True),
        ("/opt", "/opt/a.war", False),
        ("/opt", "/optional", True),
        ("C:\\App", "C:\\App\\a.exe", False),
        ("C:\\App", "C:\\Apple", True),
        ("HKU\\S-1-5-21-1", "HKU\\S-1-5-21-1\\Software\\Run", False),
        ("C:\\\\App", "C:\\\\App\\\\a.exe", False),
    ],
)
def test_what_was_skipped_keeps_all_that_is_in_it(skipped: str, subject: str, is_gone: bool) -> None:
    entry = {**checked("a"), "status": "partial", "skipped": [{"subject": skipped, "reason": "x"}], "skipped_count": 1}
    assert coverage.shows_gone(coverage.checked([entry], CAPABILITY), "a", subject) is is_gone
