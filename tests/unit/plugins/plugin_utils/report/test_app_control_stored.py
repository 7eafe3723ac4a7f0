# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report shows what the store has of programs."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import from_store, model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.app_control_view import AppControl, Host
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.unit.plugins.plugin_utils.report import stored
from tests.unit.plugins.plugin_utils.store.programs import program, record, sighting


def collect(store: Store, **limits: t.Any) -> model.ReportData:
    known = catalogue.load()
    return from_store.collect(store, known, {}, from_store.Limits(**limits), title="T", version="1", now=10_000_000)


def violation(host: str, subject: str) -> dict[str, t.Any]:
    seen = _finding.detection("app_unapproved_program", subject, scope="programs", evidences=[])
    return events.finding(seen, catalogue.load(), events.Device(host), 1)


def test_a_store_without_programs_has_nothing_to_show() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], now=10)
        assert collect(store).app_control == AppControl()


def test_hosts_come_with_their_days_and_allowlists() -> None:
    with stored.store() as store:
        record(store, sighting(day=3), day=3, facts={"roles": ["base", "web"]})
        record(store, sighting(), host="db1")
        assert collect(store).app_control.hosts == (
            Host("db1", "debian 12", 1, ()),
            Host("web1", "debian 12", 3, ("base", "web")),
        )
        assert collect(store).app_control.programs == {}
        assert [host.name for host in collect(store, hosts=("web*",)).app_control.hosts] == ["web1"]
        assert collect(store, capabilities=("audit",)).app_control == AppControl()


def test_a_finding_has_the_newest_facts_of_its_program() -> None:
    inside, new = program("/usr/bin/curl", image="nginx:1: 2"), program("/opt/*tool", sha256="b" * 64)
    with stored.store() as store:
        found = [violation("web1", "/opt/*tool"), violation("web1", "nginx:1: 2: /usr/bin/curl")]
        record(store, sighting(program("/opt/*tool")), sighting("/bin/other"), day=1)
        record(store, sighting(new, day=2), sighting(inside, day=2), day=2, findings=found)
        assert collect(store).app_control.programs == {
            ("web1", "/opt/*tool"): new,
            ("web1", "nginx:1: 2: /usr/bin/curl"): inside,
        }


def test_a_name_with_many_asterisks_is_no_pattern() -> None:
    name = "/tmp/" + "*a" * 200
    with stored.store() as store:
        other = program("/tmp/" + "a" * 400)
        record(store, sighting(other), sighting(program(name)), findings=[violation("web1", name)])
        assert collect(store).app_control.programs["web1", name] == program(name)
