# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device, platform_facts
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.ocsf import samples, schema
from tests.unit.plugins.plugin_utils.ocsf.test_hostile import JSON

FACTS = {
    "distribution": "Debian",
    "distribution_version": "13.2",
    "kernel": "6.18.1",
    "system": "Linux",
    "domain": "example.com",
    "virtualization_role": "guest",
    "default_ipv4": {"address": "192.0.2.7"},
}
PREFIXED = {f"ansible_{name}": value for name, value in FACTS.items()}


@pytest.mark.parametrize(
    "variables",
    [
        {"ansible_facts": FACTS},
        {"ansible_facts": PREFIXED},
        PREFIXED,
        {"ansible_facts": {}, **PREFIXED},
        {"ansible_facts": wrap_var(FACTS)},
    ],
    ids=["facts", "prefixed facts", "injected", "injected beside empty facts", "unsafe"],
)
def test_facts_are_found_wherever_ansible_puts_them(variables: dict[str, t.Any]) -> None:
    assert Device.from_vars({"inventory_hostname": "web1.example.com", **variables}) == samples.HOST


def test_without_facts_the_name_is_all_there_is() -> None:
    host = Device.from_vars({"inventory_hostname": "web1"})
    assert host == Device("web1")
    assert host.to_ocsf() == {"hostname": "web1", "name": "web1", "type_id": 0, "type": "Unknown"}


def test_the_inventory_name_is_the_identity_whatever_the_host_says() -> None:
    facts = {"hostname": "other", "fqdn": "other.example.com", "inventory_hostname": "other"}
    assert Device.from_vars({"inventory_hostname": "web1", "ansible_facts": facts}).name == "web1"


def test_windows_has_its_addresses_in_a_list() -> None:
    facts = {"system": "Win32NT", "distribution": "Microsoft Windows Server 2022", "ip_addresses": ["no", "192.0.2.8"]}
    device = Device.from_vars({"inventory_hostname": "win1", "ansible_facts": facts}).to_ocsf()
    assert (device["ip"], device["os"]["type_id"]) == ("192.0.2.8", 100)


@settings(max_examples=300, deadline=None)
@given(facts=JSON | st.dictionaries(st.sampled_from([*FACTS, *PREFIXED, "ip_addresses"]), JSON))
def test_odd_facts_never_matter(facts: t.Any) -> None:
    host = Device.from_vars({"inventory_hostname": "web1", "ansible_facts": facts})
    assert host.name == "web1"
    assert schema.errors(samples.finding(host=host)) == []


def test_facts_are_bounded_and_safe_to_show() -> None:
    facts = {"distribution": "x" * 10**6, "kernel": "6\x1b[2J", "default_ipv4": {"address": "192.0.2.7\n"}}
    host = Device.from_vars({"inventory_hostname": "web1", "ansible_facts": facts})
    assert host.kernel == r"6\x1b[2J"
    assert len(host.os_name or "") == 256
    assert host.ip is None


class _Failing(dict[str, t.Any]):
    """Another host's variables, whose templates fail when they are read."""

    def get(self, key: str, default: t.Any = None) -> t.Any:
        raise AnsibleError("undefined")


def test_variables_that_cannot_be_templated_count_as_not_gathered() -> None:
    assert Device.from_vars(_Failing(inventory_hostname="web1")) == Device("web1")


@pytest.mark.parametrize("sent", [FACTS, PREFIXED], ids=["facts", "prefixed facts"])
def test_of_what_a_host_sends_only_the_facts_that_name_its_platform_are_kept(sent: dict[str, t.Any]) -> None:
    kept = platform_facts({**sent, "bulwark_store": "sqlite:////theirs.db", "ansible_connection": "local"})
    assert kept == PREFIXED
    variables = {"inventory_hostname": "web1", "ansible_facts": kept}
    assert Device.from_vars(variables) == Device.from_vars({**variables, "ansible_facts": sent})


@given(JSON)
def test_kept_facts_are_texts_whatever_a_host_sends(sent: t.Any) -> None:
    for name, value in platform_facts(sent).items():
        assert name in PREFIXED or name == "ansible_default_ipv6"
        assert isinstance(value["address"] if name.startswith("ansible_default") else value, str)
