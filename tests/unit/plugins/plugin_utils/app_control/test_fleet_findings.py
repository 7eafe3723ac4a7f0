# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At the end of a run it is known whether allowlists are missing, or do not fit what runs."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import fleet_findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.unit.plugins.plugin_utils.store import programs
from tests.unit.plugins.plugin_utils.store.programs import DAY

TOOL = programs.program("/opt/tool", package="", manager="", verification="unpackaged")
TODAY = 20


@pytest.fixture
def store(tmp_path: pathlib.Path) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as opened:
        yield opened


def see(
    store: Store,
    *hosts: str,
    days: int = 14,
    roles: t.Sequence[str] = (),
    ran: t.Sequence[Program] = (),
    reported: bool = False,
    day: int = TODAY,
    distribution: str = "debian 12",
) -> None:
    """Record that hosts ran programs; reported: as findings that no allowlist has them."""
    for host in hosts:
        detections = [
            _finding.detection(alert="app_unapproved_program", subject=each.path, scope=programs.SCOPE, evidences=[])
            for each in ran
            if reported
        ]
        made = events.findings(detections, catalogue.load(), events.Device(host), day * DAY)
        facts = {"since": float(DAY), "days": days, "roles": list(roles), "distribution": distribution}
        users = (f"user-of-{host}",)
        sightings = [programs.sighting(each, day=day, users=users) for each in ran]
        programs.record(store, *sightings, day=day, host=host, facts=facts, findings=made)


def detections(store: Store, allowlists: pathlib.Path | str = "", now: int = TODAY + 1) -> list[dict[str, t.Any]]:
    variables = {
        "app_control_allowlists": str(allowlists),
        "app_control_minimum_days": 14,
        "app_control_minimum_hosts": 3,
        "app_control_keep_days": 90,
    }
    found = fleet_findings.detections(store, variables.__getitem__, "fleet", float(now * DAY))
    # Whatever is found can be recorded.
    events.findings(found, catalogue.load(), events.Device(FLEET), float(now * DAY))
    return found


def test_allowlists_are_missed_once_enough_was_seen_of_a_distribution(store: Store) -> None:
    see(store, "a", "b", days=14)
    see(store, "c", days=13)
    see(store, "d", days=20, distribution="rocky 9")
    assert detections(store) == []
    see(store, "e", days=15)
    (missing,) = detections(store)
    assert (missing["alert"], missing["subject"]) == ("app_allowlist_missing", "allowlists")
    assert missing["message"] == (
        "Programs were observed for 14 days or more on 3 hosts of debian 12, and no allowlist is in use."
    )
    assert missing["evidences"] == [{"data": {"hosts": {"debian 12": 3}}}]


def test_nobody_who_uses_allowlists_misses_them(store: Store, tmp_path: pathlib.Path) -> None:
    see(store, "a", "b", "c", "d")
    assert detections(store, tmp_path) == []
    see(store, "d", roles=["web"])
    assert detections(store) == []


def test_hosts_that_no_scan_looks_at_any_more_do_not_count(store: Store) -> None:
    see(store, "a", "b", "c")
    assert len(detections(store, now=TODAY + 30)) == 1
    assert detections(store, now=TODAY + 31) == []


def test_a_list_is_outdated_if_most_hosts_of_its_role_run_what_it_does_not_have(
    store: Store, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "web.yml").write_text("role: web\nallow: []\n")
    (tmp_path / "db.yml").write_text("role: db\nallow: []\n")
    see(store, "a", "b", roles=["web"], ran=[TOOL], reported=True)
    see(store, "c", "d", roles=["web"], days=0)
    see(store, "x", roles=["db"], ran=[TOOL], reported=True)
    assert detections(store, tmp_path) == []
    # This one has no audit log.
    see(store, "c", roles=["web"], ran=[TOOL], reported=True, days=0)
    (outdated,) = detections(store, tmp_path)
    assert (outdated["alert"], outdated["subject"]) == ("app_allowlist_outdated", "web")
    assert outdated["message"] == "Allowlist web: most of its hosts run 1 program that it does not have."
    assert outdated["evidences"][0]["data"] == {
        "programs": [
            {
                "program": "/opt/tool",
                "hosts": ["a", "b", "c"],
                "hosts_count": 3,
                "users": ["user-of-a", "user-of-b", "user-of-c"],
            }
        ],
        "programs_count": 1,
    }


def test_what_a_base_does_not_have_is_not_named_for_its_roles_again(store: Store, tmp_path: pathlib.Path) -> None:
    # The base comes last by the names of the files.
    (tmp_path / "z.yml").write_text("role: base-debian-12\ndistribution: debian 12\nallow: []\n")
    (tmp_path / "web.yml").write_text("role: web\nallow: []\n")
    (tmp_path / "db.yml").write_text("role: db\nallow: []\n")
    own = programs.program("/opt/own", package="", manager="", verification="unpackaged")
    see(store, "a", "b", "c", roles=["base-debian-12", "web"], ran=[TOOL, own], reported=True)
    see(store, "d", "e", "f", roles=["base-debian-12", "db"], ran=[TOOL], reported=True)
    see(store, "g", roles=["base-debian-12"])

    def named() -> dict[str, list[str]]:
        found = detections(store, tmp_path)
        return {each["subject"]: [ran["program"] for ran in each["evidences"][0]["data"]["programs"]] for each in found}

    assert named() == {"base-debian-12": ["/opt/tool"], "web": ["/opt/own"]}
    # Without most hosts of the base, each role has it.
    see(store, *"hijklm", roles=["base-debian-12"])
    assert named() == {"db": ["/opt/tool"], "web": ["/opt/own", "/opt/tool"]}


def test_a_list_is_outdated_if_nobody_runs_what_it_has(store: Store, tmp_path: pathlib.Path) -> None:
    (tmp_path / "web.yml").write_text(
        "role: web\nallow: [{package: nginx, manager: dpkg}, {package: old, manager: dpkg}, {directory: /srv}]\n"
    )
    see(store, "a", days=13, roles=["web"], ran=[programs.program()])
    see(store, "b", roles=["other"], ran=[programs.program("/srv/x", package="old")])
    assert detections(store, tmp_path) == []
    see(store, "a", days=14, roles=["web"])
    (outdated,) = detections(store, tmp_path)
    assert outdated["message"] == "Allowlist web: none of its hosts run what 2 rules of it allow."
    assert outdated["evidences"][1]["data"] == {
        "unused_rules": [{"package": "old", "manager": "dpkg"}, {"directory": "/srv"}],
        "unused_count": 2,
    }
    see(store, "a", days=14, roles=["web"], ran=[programs.program("/srv/x", package="old")], day=TODAY + 1)
    assert detections(store, tmp_path) == []


def test_lists_that_cannot_be_read_are_named(store: Store, tmp_path: pathlib.Path) -> None:
    (tmp_path / "web.yml").write_text("role: web\nalow: []\n")
    with pytest.raises(ContentError, match="did you mean allow"):
        detections(store, tmp_path)
