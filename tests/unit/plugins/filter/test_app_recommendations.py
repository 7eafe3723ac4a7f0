# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that recommends allowlists; what it is given comes from hosts."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter.app_recommendations import app_recommendations
from ansible_collections.bulwark.servers.plugins.module_utils._program import Sighting, as_dict

from tests.unit.plugins.plugin_utils.app_control.fleets import DAY, UNTIL, two_roles, unpackaged


def _hosts(**changes: t.Any) -> dict[str, t.Any]:
    built = two_roles()
    built.add("web2", unpackaged("/usr/local/bin/x"))
    fleet = built.fleet()
    return {
        host.name: {
            "programs": [
                as_dict(Sighting(fleet.programs[number], first, last, days, 20_513, executions))
                for number, first, last, days, executions in zip(
                    host.programs, host.first, host.last, host.days_seen, host.executions, strict=True
                )
            ],
            "program_host": {
                "distribution": host.distribution,
                "since": host.since,
                "until": host.until,
                "days": host.days,
                "roles": [],
                **changes,
            },
        }
        for host in fleet.hosts
    }


def test_plain_data() -> None:
    answer = app_recommendations(_hosts(), groups={"web0": ["www"]}, previous={"shop": [f"web{n}" for n in range(8)]})
    assert {role["name"] for role in answer["roles"]} >= {"base-debian-12", "base-rocky-9", "shop"}
    (shop,) = (role for role in answer["roles"] if role["name"] == "shop")
    assert {"package": "nginx", "manager": "dpkg"} in [one["rule"] for one in shop["rules"]]
    (item,) = shop["review"]
    assert item["reasons"] == ["no package has it", "only one host runs it"]
    assert item["rule"] == {"sha256": "/usr/local/bin/x", "path": "/usr/local/bin/x"}
    assert answer["hosts"]["web0"] == ["base-debian-12", "shop"]
    json.dumps(answer)


def test_findings_are_those_of_the_collection() -> None:
    event = {"device": {"hostname": "web2"}, "finding_info": {"title": "x", "first_seen_time": (UNTIL - DAY) * 1000}}
    assert app_recommendations(_hosts(), findings=[event])["roles"]
    with pytest.raises(AnsibleFilterError, match="findings has an entry that is not a finding of this collection"):
        app_recommendations(_hosts(), findings=[{"finding_info": {}}])


@pytest.mark.parametrize(
    ("hosts", "arguments", "words"),
    [
        ([], {}, "hosts is not a dictionary by name"),
        ({"a": {}}, {}, "the host a has no program_host with its distribution"),
        ({"a": {"program_host": {"distribution": "x"}}}, {}, "the host a has a since that is not a time"),
        (_hosts(days=-1), {}, "the host web0 has a program_host whose days, since and until make no sense"),
        ({}, {"minimum_days": 0}, "minimum_days is not a whole number from 1 to 3650"),
        ({}, {"previous": ["x"]}, "previous is not a dictionary by name"),
        ({}, {"groups": "x"}, "groups is not a dictionary by name"),
    ],
)
def test_what_makes_no_sense_is_named(hosts: t.Any, arguments: dict[str, t.Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^app_recommendations: {words}"):
        app_recommendations(hosts, **arguments)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": ""}, "without a path"),
        ({"sha256": 5}, "a field that is not text"),
        ({"kind": "x"}, "has a kind that is none"),
        ({"writers": [1]}, "the writers of /usr/sbin/basea has a name that is not text"),
        ({"executions": -1}, "executions is not a number"),
    ],
)
def test_a_wrong_program_is_named(changes: dict[str, t.Any], words: str) -> None:
    hosts = _hosts()
    hosts["web0"]["programs"][0] |= changes
    with pytest.raises(AnsibleFilterError, match=words):
        app_recommendations(hosts)
