# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary())
def test_any_bytes_are_shown_safely_and_come_back(name: bytes) -> None:
    shown = _finding.printable(name)
    shown.encode("utf-8")
    assert not any(ord(char) < 0x20 or ord(char) == 0x7F for char in shown)
    assert _finding.unprintable(shown) == name


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_shown_the_same_as_its_bytes(name: str) -> None:
    assert _finding.printable(name) == _finding.printable(name.encode())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"/etc/passwd", "/etc/passwd"),
        ("/srv/Grüße".encode(), "/srv/Grüße"),
        (b"/tmp/a\nb", r"/tmp/a\nb"),
        (b"/tmp/\x1b[2J", r"/tmp/\x1b[2J"),
        (b"/tmp/\xff\xfe", r"/tmp/\xff\xfe"),
        (b"/tmp/a\\nb", r"/tmp/a\\nb"),
        ("/tmp/\u202etxt.sh".encode(), r"/tmp/\u202etxt.sh"),
        ("a\u2028b".encode(), r"a\u2028b"),
    ],
)
def test_deceptive_names(name: bytes, shown: str) -> None:
    assert _finding.printable(name) == shown
    assert _finding.unprintable(shown) == name


@pytest.mark.parametrize("text", ["\\", "a\\q", "\\x1", "\\xzz", "\\u12", "\\u 12a"])
def test_an_escape_that_is_never_written_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write a backslash as"):
        _finding.unprintable(text)


def test_a_scope_with_nothing_skipped_is_checked() -> None:
    coverage = _finding.ScopeCoverage("binaries")
    coverage.examined = 3
    assert coverage.entry() == {
        "scope": "binaries",
        "status": "checked",
        "reason": None,
        "examined": 3,
        "skipped": [],
        "skipped_count": 0,
    }


def test_skips_are_counted_exactly_and_listed_up_to_the_limit() -> None:
    coverage = _finding.ScopeCoverage("binaries")
    for number in range(_finding.SKIPPED_LIMIT + 7):
        coverage.skip(f"/f{number}", "permission denied")
    entry = coverage.entry()
    assert entry["status"] == "partial"
    assert entry["skipped_count"] == _finding.SKIPPED_LIMIT + 7
    assert len(entry["skipped"]) == _finding.SKIPPED_LIMIT


def test_what_is_explained_is_counted_exactly_and_listed_up_to_the_limit() -> None:
    coverage = _finding.ScopeCoverage("binaries")
    most = _finding.EXPLAINED_LIMIT + 2
    for number in range(1, most + 1):
        coverage.explain(f"package{number} 1.0", number, [f"/{letter}" for letter in "abcd"])
    entry = coverage.entry()
    listed = entry["explained"]
    assert len(listed) == _finding.EXPLAINED_LIMIT
    assert listed[0] == {"by": "package1 1.0", "count": 1, "examples": ["/a", "/b", "/c"]}
    assert listed[-1] == {"by": "3 more", "count": 3 * (most - 1), "examples": []}
    assert entry["explained_count"] == sum(group["count"] for group in listed) == most * (most + 1) // 2
    assert entry["status"] == "checked"


def test_a_note_is_there_when_there_is_something_to_say() -> None:
    coverage = _finding.ScopeCoverage("binaries")
    coverage.note = "For the first time."
    assert coverage.entry()["note"] == "For the first time."


def test_a_failed_scope_is_not_checked_whatever_else_happened() -> None:
    coverage = _finding.ScopeCoverage("audit")
    coverage.skip("/var/log/audit/audit.log", "permission denied")
    coverage.fail("auditd is not installed")
    assert (coverage.entry()["status"], coverage.entry()["reason"]) == ("not_checked", "auditd is not installed")


def test_a_detection_with_a_severity_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="severity 'bad' is not one of"):
        _finding.detection("fim_file_modified", "/etc/passwd", "identity", [], severity="bad")
