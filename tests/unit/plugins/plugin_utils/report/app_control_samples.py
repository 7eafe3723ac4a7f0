# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets with and without allowlists, and programs that ran on them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, UNPACKAGED, Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.app_control_view import AppControl, Host
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

from tests.unit.plugins.plugin_utils.report import samples
from tests.unit.plugins.plugin_utils.report.samples import DAY, NOW

ALERTS = {
    "app_unapproved_program": model.AlertText(
        "Program that no allowlist has", "alert", "A program ran.", "Ask who ran it.", ()
    ),
    "app_changed_program": model.AlertText(
        "Program that is not what its allowlist has", "alert", "A program ran.", "Compare the digest.", ()
    ),
}


def host(name: str = "web1", days: int = 30, allowlists: t.Sequence[str] = ()) -> Host:
    return Host(name, "debian 12", days, tuple(allowlists))


def violation(on: str = "web1", subject: str = "/opt/tool", **changes: t.Any) -> Finding:
    fields: dict[str, t.Any] = {
        "uid": f"{on} {subject}",
        "host": on,
        "capability": "app_control",
        "alert": "app_unapproved_program",
        "lifecycle": "event",
        "severity": "medium",
        "scope": "programs",
        "subject": subject,
    }
    return samples.finding(**{**fields, **changes})


def program(path: str = "/opt/tool", **changes: t.Any) -> Program:
    fields: dict[str, t.Any] = {"sha256": "ab" * 32, "verification": UNPACKAGED}
    return Program(PROGRAM, path, **{**fields, **changes})


def data(
    hosts: t.Iterable[Host] = (),
    findings: t.Iterable[Finding] = (),
    programs: t.Mapping[tuple[str, str], Program] | None = None,
) -> model.ReportData:
    hosts = tuple(hosts)
    return samples.data(
        findings=tuple(findings),
        alerts={**samples.ALERTS, **ALERTS},
        coverage=tuple(samples.coverage(host=each.name, capability="app_control") for each in hosts),
        app_control=AppControl(hosts, programs or {}),
    )


def fleet(hosts: int = 12) -> model.ReportData:
    """Return a fleet with a base, two roles, a new host, and hosts without an allowlist; always the same."""
    roles = (("base-debian-12", "web"), ("base-debian-12", "database"), ("base-debian-12", "web", "database"), ())
    made = [host(f"web{number}", 3 if number == 1 else 20 + number % 11, roles[number % 4]) for number in range(hosts)]
    using = [each.name for each in made if each.allowlists]
    found = [
        *(violation(name, "/usr/local/bin/node_exporter", severity="informational") for name in using),
        *(violation(name, "/usr/local/bin/deploy-agent", first_seen=NOW - 3 * DAY) for name in using[:7]),
        *(violation(name, "/tmp/.x/kworker", severity="high") for name in using[:2]),
        violation(using[0], "/usr/sbin/nginx", alert="app_changed_program", severity="high"),
        violation(using[1], "nginx:1.27: /usr/bin/curl", first_seen=NOW - 2 * DAY),
    ]
    known = {(each.host, each.subject): program(each.subject) for each in found}
    known[using[0], "/usr/sbin/nginx"] = program(
        "/usr/sbin/nginx", manager="dpkg", package="nginx", version="1.22.1-9+deb12u2", verification="modified"
    )
    known[using[1], "/usr/local/bin/deploy-agent"] = program("/usr/local/bin/deploy-agent", sha256="cd" * 32)
    return data(made, found, known)


def hostile(attack: str) -> model.ReportData:
    """Return report data in which the attack stands in every text that a host or an allowlist could bring."""
    bad = program(attack, sha256=attack, package=attack, version=attack, verification="modified")
    return data(
        [Host(attack, attack, 30, (attack,)), Host(f"{attack} new", attack, 1, ())],
        [violation(attack, attack, uid=attack)],
        {(attack, attack): bad},
    )
