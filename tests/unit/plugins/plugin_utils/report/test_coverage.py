# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import coverage, model

from tests.unit.plugins.plugin_utils.report import samples


def entry(host: str, capability: str, scope: str, status: str = "checked", **changes: t.Any) -> model.Coverage:
    return samples.coverage(host=host, capability=capability, scope=scope, status=status, **changes)


def test_hosts_that_were_covered_alike_share_a_row_and_the_worst_is_first() -> None:
    entries = [entry(host, "fim", scope) for host in ("c", "a", "b") for scope in ("x", "y")]
    entries += [entry("d", "fim", "x"), entry("d", "fim", "y", "not_checked", reason="No root.")]
    matrix = coverage.matrix(entries)
    assert [row.hosts for row in matrix.rows] == [("d",), ("a", "b", "c")]
    assert matrix.rows[0].cells == (coverage.Cell("partial", 1, 2, "No root."),)
    assert (matrix.controls, matrix.not_fully_checked) == (4, 1)


def test_different_reasons_make_different_rows() -> None:
    entries = [entry(host, "fim", "x", "not_checked", reason=why) for host, why in (("a", "One."), ("b", "Another."))]
    assert len(coverage.matrix(entries).rows) == 2


def test_a_row_gives_the_reason_of_most_scopes() -> None:
    file, old = "a file cannot be read", "the database is old"
    reasons = {"containers": file, "packages": old, "languages": old}
    entries = [
        samples.coverage(scope=scope, status="partial", skipped=(("x", reason),)) for scope, reason in reasons.items()
    ]
    (row,) = coverage.matrix(entries).rows
    assert row.cells[0].reason == old


def test_a_capability_that_a_host_never_had_is_said() -> None:
    matrix = coverage.matrix([entry("a", "fim", "x"), entry("b", "fim", "x"), entry("b", "audit", "y")])
    assert matrix.rows[0] == coverage.MatrixRow(
        ("a",), (coverage.Cell("never", 0, 0, coverage.NEVER_REASON), coverage.Cell("checked", 1, 1, ""))
    )
    assert matrix.not_fully_checked == 1


def test_a_host_that_only_a_finding_names_was_never_looked_at() -> None:
    matrix = coverage.matrix([], [samples.finding(host="ghost")])
    assert [(row.hosts, row.cells[0].status) for row in matrix.rows] == [(("ghost",), "never")]


def test_a_gap_names_every_host_with_the_same_reason() -> None:
    entries = [entry(host, "audit", "log", "not_checked", reason="No auditd.") for host in ("a", "b")]
    entries.append(entry("c", "fim", "x", "partial", skipped=(("/root", "Permission denied."),), skipped_count=7))
    dark, part = coverage.gaps(entries, coverage.matrix(entries[:2]))
    assert (dark.reason, dark.hosts, dark.status) == ("No auditd.", ("a", "b"), "not_checked")
    assert (part.reason, part.skipped, part.skipped_count) == (
        "Permission denied.",
        (("c", "/root", "Permission denied."),),
        7,
    )


def test_what_several_scopes_left_out_is_named_once() -> None:
    entries = [
        entry("a", "fim", scope, "partial", skipped=(("HKU", "Not signed in."),), skipped_count=2)
        for scope in ("run_keys", "winlogon")
    ]
    (gap,) = coverage.gaps(entries, coverage.matrix(entries))
    assert (gap.scopes, gap.skipped) == (("run_keys", "winlogon"), (("a", "HKU", "Not signed in."),))
    assert gap.skipped_count == 3


def test_the_same_reason_in_each_host_s_words_is_one_gap() -> None:
    entries = [
        entry(
            f"web{number}",
            "fim",
            "fim",
            "not_checked",
            reason=f"the host was unreachable: ssh: connect to host 10.0.0.{number} port 22: Connection refused",
        )
        for number in range(80)
    ]
    (gap,) = coverage.gaps(entries, coverage.matrix(entries))
    assert (len(gap.hosts), gap.reason) == (
        80,
        "the host was unreachable: ssh: connect to port 22: Connection refused",
    )
    assert len(coverage.matrix(entries).rows) == 1


def test_a_host_that_was_never_checked_is_no_scope() -> None:
    dark = entry("a", "fim", "fim", "not_checked", reason="No answer.", time=0)
    matrix = coverage.matrix([dark, entry("b", "fim", "x")])
    assert matrix.rows[0].cells == (coverage.Cell("never_checked", 0, 0, "No answer."),)
    assert matrix.not_fully_checked == 1
    # Before that it was, and of a module's own result nobody knows.
    for time in (samples.NOW, None):
        again = entry("a", "fim", "fim", "not_checked", reason="No answer.", time=time)
        assert coverage.matrix([again]).rows[0].cells == (coverage.Cell("not_checked", 0, 0, "No answer."),)


def test_notes_are_said_once_and_tell_hosts_apart() -> None:
    entries = [entry("a", "fim", scope, note="First look.") for scope in ("x", "y")] + [entry("b", "fim", "x")]
    matrix = coverage.matrix(entries)
    assert {row.hosts: row.cells[0].note for row in matrix.rows} == {("a",): "First look.", ("b",): ""}


def test_numbers_of_notes_do_not_tell_hosts_apart() -> None:
    notes = {
        "a": "Known since 2026-11-09T12:16:23Z, of 21 days. Lists: debian-13.",
        "b": "Known since 2026-10-02T01:00:00Z, of 21 days. Lists: debian-13.",
        "c": "Known since 2026-10-02T01:00:00Z, of 2 days. Lists: debian-13.",
    }
    (row,) = coverage.matrix([entry(host, "app", "x", note=note) for host, note in notes.items()]).rows
    assert (row.hosts, row.cells[0].note) == (("a", "b", "c"), "Known since …, of … days. Lists: debian-13.")
    (row,) = coverage.matrix([entry(host, "app", "x", note=notes["a"]) for host in ("a", "b")]).rows
    assert row.cells[0].note == notes["a"]


def test_several_notes_are_sentences() -> None:
    entries = [entry("a", "fim", scope, note=note) for scope, note in (("x", "First look."), ("y", "No network"))]
    assert coverage.matrix(entries).rows[0].cells[0].note == "First look. No network."


def test_ten_thousand_hosts_that_are_alike_are_one_row() -> None:
    entries = [entry(f"h{number}", "fim", "x") for number in range(10_000)]
    matrix = coverage.matrix(entries)
    assert (len(matrix.rows), len(matrix.rows[0].hosts), coverage.gaps(entries, matrix)) == (1, 10_000, ())


def test_scopes_that_lack_on_the_same_hosts_for_the_same_reason_are_one_gap() -> None:
    def dark(host: str, scope: str, **changes: t.Any) -> model.Coverage:
        fields = {"status": "not_checked", "reason": "No root.", **changes}
        return samples.coverage(host=host, scope=scope, **fields)

    entries = [
        *(dark(host, scope) for host in ("web1", "web2") for scope in ("cron", "ssh")),
        dark("web1", "boot"),
        dark("web1", "etc", reason="No time."),
        dark("web2", "boot", status="partial", reason="", skipped=(("/boot/a", "No root."),), skipped_count=3),
        dark("web3", "file_integrity"),
    ]
    found = coverage.gaps(entries, coverage.matrix(entries))
    assert [(gap.status, gap.scopes, gap.hosts, gap.reason, gap.every) for gap in found] == [
        ("not_checked", ("cron", "ssh"), ("web1", "web2"), "No root.", False),
        ("not_checked", (), ("web3",), "No root.", False),
        ("not_checked", ("boot",), ("web1",), "No root.", False),
        ("not_checked", ("etc",), ("web1",), "No time.", False),
        ("partial", ("boot",), ("web2",), "No root.", False),
    ]
    assert [coverage.scope_words(gap.scopes, gap.every) for gap in found[:3]] == ["cron and ssh", "", "boot"]


def test_whole_capabilities_that_lack_on_the_same_hosts_for_the_same_reason_are_together() -> None:
    reason = "Not available on Windows."
    entries = [
        *(entry(host, name, name, "not_checked", reason=reason) for host in ("w1", "w2") for name in ("audit", "edr")),
        entry("w2", "fim", "fim", "not_checked", reason=reason),
        entry("w1", "fim", "etc", "not_checked", reason=reason),
    ]
    gaps = coverage.gaps(entries, coverage.matrix(entries))
    together = [[(gap.capability, gap.scopes) for gap in same] for same in coverage.alike_gaps(gaps)]
    assert together == [[("audit", ()), ("edr", ())], [("fim", ())], [("fim", ("etc",))]]


def test_all_scopes_of_each_of_the_hosts_are_called_so() -> None:
    entries = [
        samples.coverage(host=host, scope=scope, status="not_checked", reason="Gone.")
        for host in ("web1", "web2")
        for scope in ("cron", "ssh")
    ]
    (gap,) = coverage.gaps(entries, coverage.matrix(entries))
    assert coverage.scope_words(gap.scopes, gap.every) == "all 2 scopes"
    (gap,) = coverage.gaps([*entries, samples.coverage(host="web2")], coverage.matrix(entries))
    assert coverage.scope_words(gap.scopes, gap.every) == "cron and ssh"
