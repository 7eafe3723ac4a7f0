# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries come into the file of exceptions and go, and everything else in it stays as people wrote it."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import exceptions_file
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.exceptions_file import add, is_listed, remove
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

WRITTEN = """\
---
# Ours.
exceptions:
  # The builds need it.
  - program: /opt/build/*   # all of them
    user: ci
    reason: >
      Builds
      run it.
    by: alice

  # Until the move.
  - {program: /opt/old, reason: It moves, by: bob, until: 2026-12-31}
  # The end.
# After it.
"""
DAY = dt.date(2026, 11, 29)


def entry(program: str = "/opt/new", **fields: t.Any) -> dict[str, t.Any]:
    return {"program": program, "reason": "CHG-1", "by": "carol", "added": DAY, **fields}


def test_an_entry_comes_after_the_last_one_and_nothing_else_changes() -> None:
    written = add(WRITTEN, [entry(hosts=["web1", "web2"])])
    expected = """\
  - program: /opt/new
    reason: CHG-1
    by: carol
    added: 2026-11-29
    hosts: [web1, web2]
"""
    last = "  - {program: /opt/old, reason: It moves, by: bob, until: 2026-12-31}\n"
    assert written == WRITTEN.replace(last, last + expected)
    assert exceptions_file.listed(written)[2] == entry(hosts=["web1", "web2"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n",
        "# only a comment\n",
        "exceptions:\n",
        "exceptions: []\n",
        "exceptions: null\n",
        "exceptions: [\n]\n",
        "# above\nexceptions: []\n# below\n",
        "exceptions:\n- program: /x\n  reason: y\n  by: z\n",
        "exceptions:\n  -\n    program: /x\n    reason: y\n    by: z\n",
        "exceptions:\n    -   program: /x\n        reason: y\n        by: z",
        "exceptions:\n  - program: /x\n    by: z\n    reason: |\n      two\n      lines\n\n\n",
        "exceptions:\n  - program: /x\n    by: z\n    reason: 'two\n      lines'\n",
        "exceptions:\r\n  - program: /x\r\n    reason: y\r\n    by: z\r\n",
        "---\nexceptions:\n  - program: /x\n    reason: y\n    by: z\n    hosts:\n      - a\n      - b\n...\n",
    ],
)
def test_every_shape_of_the_file_takes_an_entry_and_gives_it_back(text: str) -> None:
    before = exceptions_file.listed(text)
    written = add(text, [entry(), entry("/opt/second")])
    assert exceptions_file.listed(written) == [*before, entry(), entry("/opt/second")]
    for line in text.splitlines():
        assert line in written.splitlines() or line.startswith(("exceptions:", "]"))
    assert ("\r\n" in written) == ("\r\n" in text)
    back, removed = remove(written, lambda each: each["by"] == "carol")
    assert removed == [entry(), entry("/opt/second")]
    assert exceptions_file.listed(back) == before
    if before:
        assert back.rstrip() == text.rstrip()


def test_removing_takes_the_lines_of_the_entry_and_leaves_comments() -> None:
    text, removed = remove(WRITTEN, lambda each: each["program"] == "/opt/build/*")
    assert [each["by"] for each in removed] == ["alice"]
    assert "# The builds need it.\n\n  # Until the move.\n  - {program: /opt/old" in text
    assert remove(text, lambda each: each["program"] == "/opt/build/*") == (text, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("exceptions: [{program: /x, reason: y, by: z}]\n", "written in brackets"),
        ("exceptions: [\n", "cannot be read: .*correct it first"),
        ("exceptions: {}\n", "exceptions is a list"),
        ("exeptions: []\n", "did you mean exceptions?"),
        ("- /x\n", "a mapping is needed"),
        ("exceptions: []\n---\nexceptions: []\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ContentError, match=rf"^exceptions\.yml.*{problem}"):
        add(text, [entry()])


def test_what_would_change_other_entries_is_refused() -> None:
    # The new entry would become a part of the text above it.
    text = "exceptions:\n  - program: /x\n    by: z\n    reason: |+\n      one\n\n\n"
    assert exceptions_file.listed(add(text, []))[0]["reason"] == "one\n\n\n"
    with pytest.raises(ContentError, match="change it by hand"):
        add(text, [entry()])


@pytest.mark.parametrize(
    ("known", "wanted", "expected"),
    [
        ({}, {}, True),
        ({"reason": "another"}, {}, True),
        ({}, {"hosts": ["web1"]}, True),
        ({"hosts": ["web1", "web2"]}, {"hosts": ["web1"]}, True),
        ({"hosts": ["web2"]}, {"hosts": ["web1"]}, False),
        ({"hosts": ["web1"]}, {}, False),
        ({"user": "ci"}, {}, False),
        ({"sha256": "a" * 64}, {}, False),
        ({"until": dt.date(2030, 1, 1)}, {}, False),
        ({"until": dt.date(2030, 1, 1)}, {"until": dt.date(2029, 1, 1)}, True),
        ({"until": dt.date(2020, 1, 1)}, {"until": dt.date(2020, 1, 1)}, False),
    ],
)
def test_an_entry_that_lets_it_run_is_enough(known: t.Any, wanted: t.Any, expected: bool) -> None:
    now = dt.datetime(2026, 11, 29, tzinfo=dt.UTC).timestamp()
    assert is_listed([entry("/y"), entry(**known)], entry(**wanted), now) is expected
