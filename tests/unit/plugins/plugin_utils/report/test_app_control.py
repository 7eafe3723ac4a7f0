# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's section on application control: allowlists, what they do not have, and nothing for who has none."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import app_control_tables, model, page

from tests.support import paths
from tests.unit.plugins.plugin_utils.report import samples
from tests.unit.plugins.plugin_utils.report.app_control_samples import data, fleet, host, hostile, program, violation
from tests.unit.plugins.plugin_utils.report.samples import DAY, NOW


def section(report: model.ReportData) -> str:
    """Return the section as markup, "" where there is none."""
    return page.render(report).partition('<section id="app-control"')[2].partition("</section>")[0]


def words(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup))


def rows(markup: str, table: int) -> list[str]:
    """Return the rows of a table in words, without its head."""
    body = re.findall(r"<tbody.*?</tbody>", markup, re.DOTALL)[table]
    return [words(row).strip() for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]


def test_without_programs_in_the_store_there_is_nothing() -> None:
    assert section(samples.data()) == ""
    assert 'href="#app-control"' not in page.render(samples.data())


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ((3, 20, 20), "recommends allowlists once 3 hosts of a distribution were observed for 14 days."),
        ((14, 20, 20), "can recommend allowlists now."),
    ],
)
def test_who_uses_no_allowlist_gets_one_line_and_no_rows(days: tuple[int, ...], sentence: str) -> None:
    report = data([host(f"web{number}", each) for number, each in enumerate(days)])
    markup = section(report)
    begin = f"Application control Scans have learned the programs of 3 hosts for {days[0]} to 20 days."
    assert f"{begin} No allowlist is used. The learn playbook {sentence}" in words(markup)
    assert "<table" not in markup
    assert 'href="#app-control"' not in page.render(report)


def test_what_the_defaults_of_the_role_say_is_what_the_report_says() -> None:
    defaults = yaml.safe_load((paths.ROOT / "roles" / "app_control" / "defaults" / "main.yml").read_text())
    assert defaults["app_control_minimum_days"] == app_control_tables.MINIMUM_DAYS
    assert defaults["app_control_minimum_hosts"] == app_control_tables.MINIMUM_HOSTS


def test_violations_are_counted_by_allowlist_and_severity() -> None:
    report = data(
        [host("web1", 30, ["base", "web"]), host("web2", 20, ["base"]), host("db1", 3)],
        [
            violation("web1", "/opt/a"),
            violation("web1", "/opt/b", severity="high"),
            violation("web2", "/opt/a", severity="informational"),
            violation("web2", "/opt/c", status="resolved"),
            violation("web2", "/opt/d", status="suppressed"),
            violation("web1", "/opt", alert="app_mount_without_noexec"),
        ],
    )
    markup = section(report)
    assert rows(markup, 0) == ["base 2 20 to 30 days 1 high , 1 medium 1", "web 1 30 days 1 high , 1 medium 0"]
    text = words(markup)
    assert "2 of 3 hosts use an allowlist. 2 programs are not approved, on 2 hosts." in text
    assert "No allowlist, so nothing is judged: db1" in text
    assert "Observed for fewer than 14 days, too few to recommend an allowlist: db1" in text


def test_an_allowlist_that_does_not_fit_leads_to_the_finding() -> None:
    changes: dict[str, t.Any] = {"alert": "app_allowlist_outdated", "severity": "informational"}
    found = [
        violation("(fleet)", "a list", **changes),
        violation("(fleet)", "base", status="resolved", **changes),
    ]
    markup = section(data([host("web1", 30, ["a list", "base"])], found))
    assert rows(markup, 0) == ["a list does not fit what runs 1 30 days none 0", "base 1 30 days none 0"]
    assert 'href="#findings?alert=app_allowlist_outdated&amp;q=a%20list"' in markup


def test_a_host_that_has_lost_its_allowlist_is_named() -> None:
    report = data([host("web1"), host("web2", 30, ["web"])], [violation("web1")])
    assert "Open violations, but no allowlist any more: web1" in words(section(report))


def test_one_program_on_many_hosts_is_one_row() -> None:
    hosts = [host(f"web{number}", 30, ["web"]) for number in range(1, 7)]
    found = [violation(each.name, "/opt/tool", first_seen=NOW - at * DAY) for at, each in enumerate(hosts)]
    found[2] = violation("web3", "/opt/tool", severity="high", last_seen=NOW + 60)
    programs = {(each.name, "/opt/tool"): program("/opt/tool") for each in hosts}
    (row,) = rows(section(data(hosts, found, programs)), 1)
    assert row == (
        "/opt/tool Program that no allowlist has High web1..web6 (6 hosts) 2025-11-19 16:00 2025-11-24 16:01 none"
        " abababababab"
    )


@pytest.mark.parametrize(
    ("programs", "package", "digest"),
    [
        ([], "not known", "not known"),
        ([program(sha256="")], "none", "not known"),
        ([program(sha256="ab" * 32), program(sha256="cd" * 32)], "none", "2 digests"),
        ([program(package="nginx", version="1", verification="verified")], "nginx 1", "abababababab"),
        ([program(package="nginx", version="1", verification="modified")], "nginx 1, but with other content", "ab" * 6),
        ([program(package="nginx", version="1", verification="unknown")], "nginx 1, not compared", "ab" * 6),
        ([program(package="x", version="1"), program()], "2 packages or versions", "ab" * 6),
    ],
)
def test_package_and_digest_are_those_that_the_store_has(programs: list[t.Any], package: str, digest: str) -> None:
    hosts = [host("web1", 30, ["web"]), host("web2", 30, ["web"])]
    known = {(f"web{at}", "/opt/tool"): each for at, each in enumerate(programs, 1)}
    (row,) = rows(section(data(hosts, [violation("web1"), violation("web2")], known)), 1)
    assert row.endswith(f" {package} {digest}")


def test_the_most_urgent_program_comes_first() -> None:
    hosts = [host("web1", 30, ["web"])]
    found = [
        violation(subject="/opt/old", last_seen=NOW - DAY),
        violation(subject="/opt/explained", severity="informational"),
        violation(subject="/opt/new"),
        violation(subject="/opt/bad", severity="high", last_seen=NOW - DAY),
    ]
    assert [row.split()[0] for row in rows(section(data(hosts, found)), 1)] == [
        "/opt/bad",
        "/opt/new",
        "/opt/old",
        "/opt/explained",
    ]


def test_a_program_leads_to_its_findings() -> None:
    found = [violation(subject="/opt/a tool")]
    assert 'href="#findings?alert=app_unapproved_program&amp;q=%2Fopt%2Fa%20tool"' in section(
        data([host("web1", 30, ["web"])], found)
    )


def test_nothing_seen_is_not_called_clean_where_hosts_are_not_judged() -> None:
    text = words(section(data([host("web1", 30, ["web"]), host("web2")])))
    assert "1 of 2 hosts uses an allowlist. No violation is open." in text
    assert "No allowlist, so nothing is judged: web2" in text


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_what_hosts_send_is_text(attack: str) -> None:
    def skeleton(text: str) -> list[str]:
        return re.findall(
            r"<[a-z]+[^>]*?(?= href)|<[a-z]+[^>]*>", re.sub(r'href="[^"]*"', "href", section(hostile(text)))
        )

    assert skeleton(attack) == skeleton("harmless")


def test_a_thousand_hosts_with_a_program_each_make_a_small_section() -> None:
    hosts = [host(f"host{number}.example.org", 30, ["base", f"role{number % 90}"]) for number in range(1000)]
    found = [violation(each.name, f"/opt/{number}/{'x' * 200}") for number, each in enumerate(hosts)]
    found += [violation(each.name, "/opt/same") for each in hosts]
    markup = section(data(hosts, found))
    assert len(markup.encode()) < 200_000
    text = words(markup)
    assert "901 programs with less urgency are not listed" in text
    assert "41 allowlists with fewer violations are not listed" in text


def test_the_sample_fleet_is_whole() -> None:
    text = words(section(fleet()))
    assert "nginx 1.22.1-9+deb12u2, but with other content" in text
    assert "nginx:1.27: /usr/bin/curl" in text


def test_hosts_by_mode_and_what_is_wrong_with_their_enforcement() -> None:
    hosts = [host(name, 30, ("web",)) for name in ("web1", "web2", "web3")]
    findings = [
        violation("web1", "fapolicyd", alert="app_enforcement_drift", lifecycle="state", severity="low"),
        violation("web2", "/usr/sbin/nginx", alert="app_allowed_program_stopped", severity="high"),
        violation("web2", "/usr/bin/php", alert="app_allowed_program_stopped", severity="high"),
        violation("web3", "fapolicyd", alert="app_enforcement_off", status="resolved", severity="high"),
    ]
    report = data(hosts, findings)
    notes = {
        "web1": "Mode enforce by fapolicyd 1.3.4, 3 trusted files.",
        "web2": "Mode rehearse by fapolicyd.",
        "web3": "",
    }
    coverage = [
        samples.coverage(host=name, capability="app_control", scope="enforcement", note=note)
        for name, note in notes.items()
    ]
    shown = words(section(dataclasses.replace(report, coverage=(*report.coverage, *coverage))))
    for sentence in (
        "Enforced: web1 ",
        "Rehearsed, so that everything runs: web2 ",
        "A program that should run was stopped: web2 ",
        "The policy on the host is older than the allowlist: web1 ",
    ):
        assert sentence in shown
    assert "is not enforced any more" not in shown
