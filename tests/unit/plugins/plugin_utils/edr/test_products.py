# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The products that there are: each file is right, and one that is wrong is named with what to do."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.edr import entry
from ansible_collections.bulwark.servers.plugins.module_utils.edr.readers import READERS
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import products

RIGHT: dict[str, t.Any] = {
    "title": "Agent",
    "vendor": "Example",
    "kind": "sensor",
    "reference": "https://example.org/",
    "programs": ["/opt/agent/agentd"],
}


def test_each_product_that_says_something_has_a_reader_and_each_reader_a_product() -> None:
    said = {
        product.id for product in products.load().values() if {"commands", "files", "queries"} & set(product.payload)
    }
    assert said == set(READERS)


def test_the_products_of_the_issue_are_there() -> None:
    assert set(products.load()) == {
        *(
            "microsoft_defender",
            "crowdstrike_falcon",
            "sentinelone",
            "cortex_xdr",
            "bitdefender",
            "carbon_black",
            "wazuh",
        ),
        *("elastic_agent", "falco", "osquery", "sysmon", "clamav", "auditd", "fapolicyd", "selinux", "apparmor"),
    }


def test_the_host_gets_what_the_files_say() -> None:
    sent = {each.id: each for each in entry.parse(_payload.unpack(products.packed()))}
    assert set(sent) == set(products.load())
    defender = sent["microsoft_defender"]
    assert [(each.name, list(each.arguments)) for each in defender.commands] == [
        ("health", ["health", "--output", "json"]),
        ("exclusions", ["exclusion", "list"]),
    ]
    assert (defender.kind, defender.self_updating, sent["crowdstrike_falcon"].self_updating) == (
        "protection",
        False,
        True,
    )
    assert sent["wazuh"].files[0].fresh == 300
    assert sent["clamav"].queries[0].send == "zVERSION\0"


def test_no_command_changes_anything() -> None:
    """Only words that read; falconctl changes with -s, the others with set, config, enable, stop and the like."""
    reading = {
        *("-g", "--aid", "--cid", "--rfm-state", "--backend", "--version", "-s", "health", "--output", "json"),
        *("exclusion", "list", "version", "engines", "status", "control", "management", "info", "query", "runtime"),
        *("get", "ps"),
    }
    for product in products.load().values():
        for command in product.payload.get("commands", {}).values():
            assert set(command.get("arguments", [])) <= reading, product.id
            # auditctl reports with -s; falconctl would set.
            assert "-s" not in command.get("arguments", []) or command["programs"][0] == "/sbin/auditctl"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": None}, "field 'title' is missing or empty"),
        ({"kind": "firewall"}, "kind 'firewall' is not one of protection, scanner, sensor, system"),
        ({"unit": []}, "unknown field 'unit'"),
        ({"programs": ["agentd"]}, "programs: 'agentd' is relative; give an absolute path"),
        ({"programs": "agentd"}, "programs is not a list of texts"),
        ({"programs": []}, "nothing shows that it is there"),
        ({"programs": [], "packages": ["agent"]}, "programs is missing; without it nobody knows whether"),
        ({"commands": {"health": {"arguments": ["x"]}}}, "commands: health: programs is missing"),
        ({"commands": {"health": {"programs": ["/x"], "arguments": "x"}}}, "health: arguments is unknown or wrong"),
        ({"files": {"state": {"paths": ["/x"], "age": 3}}}, "files: state: age is unknown or wrong"),
        ({"queries": ["x"]}, "queries: a mapping is needed, not list"),
        ({"self_updating": "yes"}, "self_updating is true or false"),
    ],
)
def test_a_wrong_file_is_named(changes: dict[str, t.Any], message: str) -> None:
    assert products.parse(RIGHT, "agent").id == "agent"
    with pytest.raises(ContentError, match=r"^edr/products/agent\.yml") as error:
        products.parse({**RIGHT, **changes}, "agent")
    assert message in str(error.value)


def test_a_product_that_nobody_knows_cannot_be_expected() -> None:
    products.check_expected(["any", "falco"])
    with pytest.raises(
        ContentError, match=r"^expected: there is no product 'mdatp'; the collection knows any, apparmor"
    ):
        products.check_expected(["mdatp"])
