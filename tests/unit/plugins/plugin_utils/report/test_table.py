# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import unicodedata

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model, table
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.report import samples

ANY = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)


def row(**changes: str) -> table.Row:
    fields = {"severity": "high", "status": "new", "host": "web1", "title": "A title", "subject": "/bin/x"}
    return table.Row(**{**fields, **changes})


def test_findings_are_aligned_with_the_most_severe_first() -> None:
    rows = [row(severity="low", host="web-long-name"), row(severity="critical", status="open"), row()]
    assert table.lines(rows, [])[:4] == [
        "SEVERITY  STATUS  HOST           FINDING  SUBJECT",
        "critical  open    web1           A title  /bin/x",
        "high      new     web1           A title  /bin/x",
        "low       new     web-long-name  A title  /bin/x",
    ]


LONG = "root bash -c cd /srv/app/releases && ./prepare --all --quiet --force {} && ./clean --all --quiet --now --log {}"


@pytest.mark.parametrize(
    "subjects",
    [
        (LONG.format("--first", "/var/log/a"), LONG.format("--second", "/var/log/a")),
        (LONG.format("x", "y"), LONG.format("x", "y --more"), LONG.format("x", "y --most")),
        (LONG.format("1", "2"), LONG.format("1", "3"), LONG.format("4", "2"), LONG.format("4", "3")),
    ],
)
def test_long_commands_that_differ_in_their_middle_are_told_apart(subjects: tuple[str, ...]) -> None:
    lines = table.lines([row(subject=subject) for subject in subjects], [], width=100)[1 : len(subjects) + 1]
    assert len(set(lines)) == len(subjects)
    assert all(_columns(line) <= 100 for line in lines)
    assert all("root bash" in line for line in lines)


def test_long_titles_of_one_subject_are_told_apart() -> None:
    titles = [
        f"Command that was found in a list of what attackers start in the {end} place" for end in ("first", "last")
    ]
    lines = table.lines([row(subject="/x" * 60, title=title) for title in titles], [], width=90)[1:3]
    assert len(set(lines)) == 2


def test_what_is_different_is_shown_and_the_rest_is_as_it_was() -> None:
    first, second = (LONG.format(word, "/var/log/a") for word in ("--first", "--second"))
    lines = table.lines([row(subject=first), row(subject=second), row(subject="/etc/shadow")], [], width=100)
    assert "--first" in "".join(lines)
    assert "--second" in "".join(lines)
    alone = table.lines([row(subject=first), row(subject="/etc/shadow")], [], width=100)
    assert any(line.endswith("/var/log/a") for line in alone)


def test_more_findings_than_the_limit_are_counted_by_severity() -> None:
    rows = [row(subject=str(number), severity=("high", "low")[number % 2]) for number in range(10)]
    lines = table.lines(rows, [], limit=4)
    assert lines[5] == "and 6 more: 1 high, 5 low"


def test_nothing_found_says_how_much_was_looked_at() -> None:
    dark = samples.coverage(scope="ssh", status="not_checked", reason="No root.")
    assert table.lines([], [samples.coverage(), dark]) == [
        "Nothing was found. 1 of 2 scopes was not checked: No root.",
        "",
        "Not checked:",
        "- web1: File integrity, ssh: No root.",
    ]


def test_findings_that_were_not_asked_for_are_counted_and_never_called_nothing() -> None:
    assert table.lines([], [samples.coverage()], unlisted=3)[0] == "3 active findings not listed here."
    assert table.lines([row()], [], unlisted=1)[1:3] == [
        "high      new     web1  A title  /bin/x",
        "1 active finding not listed here.",
    ]


def test_without_coverage_nothing_is_called_clean() -> None:
    assert table.lines([], []) == ["There are no findings, and no coverage shows what was checked."]


def test_findings_without_coverage_are_not_said_to_come_of_no_look() -> None:
    lines = table.lines([row()], [])
    assert lines[-2:] == ["", "No coverage was given, so it is not known what was checked."]
    assert not any("Nothing" in line for line in lines)


def test_what_packages_explain_is_said_in_one_line() -> None:
    told = (model.Explained("openssh-server 1:10.0", 31, ("/usr/sbin/sshd",)),)
    entries = [samples.coverage(explained=told, explained_count=31, note="The baseline was taken by this scan.")]
    assert table.lines([], entries) == [
        "Nothing was found. Every scope was checked (1 of 1).",
        "",
        "Checked on web1: File integrity.",
        "31 changes are explained by packages, updates and the like; the report lists them.",
        "Everything was checked.",
    ]


def test_a_host_that_never_answered_is_no_scope() -> None:
    dark = samples.coverage(host="web2", scope="file_integrity", status="not_checked", reason="No answer.", time=0)
    assert table.lines([], [samples.coverage(), dark]) == [
        "Nothing was found. 1 of 2 hosts was not checked at all: No answer.",
        "",
        "Checked on web1: File integrity.",
        "Not checked:",
        "- web2: File integrity: No answer.",
    ]


def test_a_fleet_that_does_not_answer_is_one_line() -> None:
    entries = [
        samples.coverage(host=f"web{number:02}", scope="file_integrity", status="not_checked", reason=reason, time=0)
        for number in range(1, 81)
        for reason in [f"the host was unreachable: ssh: connect to host 10.0.0.{number} port 22: Connection refused"]
    ]
    lines = table.lines([], entries, width=160)
    reason = "the host was unreachable: ssh: connect to port 22: Connection refused"
    assert lines[-1] == f"- web01..web80 (80 hosts): File integrity: {reason}"
    assert len(lines) == 4


def test_hosts_with_the_same_finding_are_one_line() -> None:
    rows = [row(host=f"web{number}") for number in range(1, 81)] + [row(host="web7", status="open")]
    assert table.lines(rows, [])[:3] == [
        "SEVERITY  STATUS  HOST                    FINDING  SUBJECT",
        "high      new     web1..web80 (80 hosts)  A title  /bin/x",
        "high      open    web7                    A title  /bin/x",
    ]


def test_a_thousand_hosts_that_differ_in_numbers_only_are_two_lines() -> None:
    entries = [
        entry
        for number in range(1_000)
        for host in [f"web{number}"]
        for entry in (
            samples.coverage(host=host, scope="etc", note=f"{number % 10 + 2} files were read in {number} ms."),
            samples.coverage(host=host, scope="ssh", status="partial", reason=f"{number} files were skipped."),
        )
    ]
    checked = [
        samples.coverage(host=f"web{number}", capability="audit", scope=f"scope{count}")
        for number in range(1_000)
        for count in range(number % 3 + 1)
    ]
    assert table.lines([row()], [*entries, *checked])[3:] == [
        "Checked on web0..web999 (1,000 hosts): Audit analytics.",
        "Not checked:",
        "- web0..web999 (1,000 hosts): File integrity, ssh (partly; 0 subjects skipped): … files were skipped.",
    ]


def test_hosts_that_did_not_answer_are_one_line_for_all_capabilities() -> None:
    dark = [
        samples.coverage(host=host, capability=name, scope=name, status="not_checked", reason="No answer.", time=0)
        for host in ("web1", "web2")
        for name in ("audit", "file_integrity", "jit_access")
    ]
    seen = samples.coverage(host="web3")
    lines = table.lines([row()], [*dark, seen])
    assert lines[4:6] == [
        "Not checked:",
        "- web1 and web2: Audit analytics, File integrity and Just-in-time access: No answer.",
    ]
    # Those were never run on the third host.
    assert lines[6:] == ["- web3: Audit analytics and Just-in-time access: It was never run on this host."]


def test_the_hosts_are_named_once_if_all_gaps_are_theirs() -> None:
    dark = [
        samples.coverage(host=host, scope=scope, status="not_checked", reason=f"No {scope}.")
        for host in ("web1", "web2")
        for scope in ("etc", "ssh")
    ]
    assert table.lines([row()], dark)[3:] == [
        "Not checked on web1 and web2:",
        "- File integrity, etc: No etc.",
        "- File integrity, ssh: No ssh.",
    ]


def test_only_full_coverage_is_called_everything() -> None:
    assert table.lines([], [samples.coverage()])[-1] == "Everything was checked."


def test_the_last_lines_say_what_was_not_checked_of_whom_and_why() -> None:
    data = samples.fleet()
    text = " ".join(table.lines([row()], data.coverage)).split("Not checked:")[1]
    for words in ("db-000.example.org", "auditd is not running", "No result arrived", "9 subjects skipped"):
        assert words in text


@pytest.mark.parametrize(
    ("skipped", "count", "words"),
    [
        ((("/var/log/a.gz", "it is damaged"),), 1, "(partly; 1 subject skipped: /var/log/a.gz): it is damaged"),
        ((("/a", "no"), ("/b", "no")), 7, "(partly; 7 subjects skipped, such as /a): no"),
        ((("/a", "/a was changed"),), 1, "(partly; 1 subject skipped): /a was changed"),
    ],
)
def test_what_was_left_out_is_named(skipped: tuple[tuple[str, str], ...], count: int, words: str) -> None:
    entry = samples.coverage(status="partial", reason="", skipped=skipped, skipped_count=count)
    assert words in " ".join(table.lines([], [entry], width=200))


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_what_a_host_sent_is_printable(attack: str) -> None:
    data = samples.hostile(attack)
    rows = [row(host=attack, title=attack, subject=attack)]
    assert all(line.isprintable() for line in table.lines(rows, data.coverage))


@given(ANY, ANY, st.integers(0, 200))
def test_no_line_is_wider_than_asked_for(name: str, reason: str, width: int) -> None:
    rows = [row(host=name, title=reason, subject=name + reason)]
    entries = [samples.coverage(host=name, scope=reason, status="not_checked", reason=reason + name)]
    lines = table.lines(rows, entries, width)
    assert max(map(_columns, lines)) <= max(width, table.MINIMUM_WIDTH)


def test_wide_characters_take_two_columns() -> None:
    header, line = table.lines([row(host="世界")], [])[:2]
    assert line.index("A title") == header.index("FINDING") - 2


def test_a_megabyte_is_cut() -> None:
    lines = table.lines(
        [row(subject="x" * 1_000_000)], [samples.coverage(status="not_checked", reason="y" * 1_000_000)]
    )
    assert sum(map(len, lines)) < 2_000


def _columns(line: str) -> int:
    """Return how wide a terminal shows a line."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in line)
    return len(line) + wide - sum(unicodedata.combining(char) > 0 for char in line)


def test_one_reason_for_all_scopes_is_one_line() -> None:
    names = [f"watch{number}" for number in range(47)]
    lost = [samples.coverage(scope=name, status="not_checked", reason="The baseline is gone.") for name in names]
    lines = table.lines([], lost)
    assert lines[lines.index("Not checked:") + 1 :] == ["- web1: File integrity, all 47 scopes: The baseline is gone."]


def test_one_reason_for_some_scopes_is_one_line_that_names_the_first() -> None:
    names = ["boot", "cron", "etc", "ssh", "usr"]
    dark = [samples.coverage(scope=name, status="not_checked", reason="No root.") for name in names]
    lines = table.lines([], [*dark, samples.coverage()])
    assert lines[-1] == "- web1: File integrity, boot, cron, etc and 2 more: No root."
