# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers: an output in the recorded shape gives the facts, and what is new or broken is neither yes nor no."""

from __future__ import annotations

import contextlib
import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import (
    BLOCK,
    PASSIVE,
    REDUCED,
    Exclusion,
    Health,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import UnreadableError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.readers import READERS
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.edr import outputs

_NOT_EXPECTED = ("1\n", "", "[]", '"text"', "{}", "null", "Segmentation fault\n", "[" * 5000, "État : inconnu\n")
# By product, the sources that say something; an unknown one is reported under its own name.
SOURCES = {
    "microsoft_defender": ["health"],
    "crowdstrike_falcon": ["aid", "cid", "rfm", "backend", "version"],
    "sentinelone": ["version", "engines", "control", "management"],
    "cortex_xdr": ["info", "content", "runtime"],
    "bitdefender": ["status"],
    "wazuh": ["state"],
    "elastic_agent": ["status"],
    "falco": ["version"],
    "osquery": ["version"],
    "clamav": ["version"],
    "auditd": ["status"],
    "apparmor": ["enabled"],
    "selinux": ["enforce"],
}


def read(product: str, **given: str) -> Health:
    return READERS[product](given)


def test_defender_that_calls_itself_healthy_is_read_as_it_is() -> None:
    health = read(
        "microsoft_defender",
        health=outputs.mdatp(realTimeProtectionEnabled=False, passiveModeEnabled=True, tamperProtection="disabled"),
    )
    assert health.details["healthy"] is True
    assert (health.real_time, health.mode, health.tamper_protection) == (False, PASSIVE, False)
    assert (health.version, health.engine, health.content) == ("101.25072.0003", "1.1.25070.3000", "1.431.7.0")
    assert (health.content_time, health.expires) == (1790856000.0, 1811808000.0)
    assert (health.up_to_date, health.onboarded, health.cloud) == (True, True, True)
    assert health.tenant == "0f0e0d0c-1111-2222-3333-444455556666"
    assert health.exclusions is None


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"orgId": "unavailable"}, "onboarded", False),
        ({"orgId": ""}, "onboarded", False),
        ({"realTimeProtectionAvailable": False}, "real_time", False),
        ({"realTimeProtectionEnabled": "later"}, "real_time", None),
        ({"passiveModeEnabled": False}, "mode", BLOCK),
        ({"tamperProtection": "audit"}, "tamper_protection", False),
        ({"tamperProtection": "new word"}, "tamper_protection", None),
        ({"definitionsStatus": {"$type": "outOfDate"}}, "up_to_date", False),
        ({"definitionsStatus": {"$type": "somethingNew"}}, "up_to_date", None),
        ({"definitionsUpdated": "yesterday"}, "content_time", None),
        ({"licensed": False}, "problems", ["it has no licence"]),
        ({"healthIssues": ["disk full"]}, "problems", ["disk full"]),
        ({"conflictingApplications": ["auditd"]}, "conflicts", ["auditd"]),
    ],
)
def test_each_value_of_defender_counts(changes: dict[str, t.Any], field: str, value: t.Any) -> None:
    assert getattr(read("microsoft_defender", health=outputs.mdatp(**changes)), field) == value


@pytest.mark.parametrize(
    ("product", "given", "name"),
    [
        (
            "microsoft_defender",
            {"health": outputs.mdatp(realTimeProtectionEnabled="later")},
            "realTimeProtectionEnabled",
        ),
        ("microsoft_defender", {"health": outputs.mdatp(tamperProtection="later")}, "tamperProtection"),
        ("sentinelone", {"control": "Agent state      Pending\n"}, "Agent state"),
        ("sentinelone", {"management": "Anti Tamper      Partly\nConnectivity   On\n"}, "Anti Tamper"),
        ("bitdefender", {"status": outputs.BDUITOOL.replace("status: On", "status: Sleeping")}, "Antimalware status"),
    ],
)
def test_a_value_that_is_not_known_is_named(product: str, given: dict[str, str], name: str) -> None:
    (sentence,) = read(product, **given).unread
    assert sentence.endswith("that is not known")
    assert name in sentence


def test_what_is_known_leaves_nothing_unread() -> None:
    assert not read("microsoft_defender", health=outputs.mdatp(), exclusions=outputs.MDATP_EXCLUSIONS).unread
    assert not read("sentinelone", **outputs.SENTINEL).unread
    assert not read("bitdefender", status=outputs.BDUITOOL).unread


def test_defenders_exclusions_are_listed_with_their_kinds() -> None:
    health = read("microsoft_defender", health=outputs.mdatp(), exclusions=outputs.MDATP_EXCLUSIONS)
    assert health.exclusions == [
        Exclusion("path", "/srv/database/"),
        Exclusion("path", "/tmp/"),
        Exclusion("extension", ".log"),
        Exclusion("process", "bash"),
    ]
    none = read("microsoft_defender", health=outputs.mdatp(), exclusions="No exclusions\n")
    assert none.exclusions == []
    assert list(none.unread) == []


@pytest.mark.parametrize(
    ("output", "values"),
    [
        ("Error 5\n", None),
        # A form that somebody has described, without kinds.
        ("=====\n/tmp/.x\n", None),
        ("Exclusions: /tmp\n", None),
        ("Excluded folder\n---\n", None),
        ("Excluded folder\nExcluded process\nProcess name: bash\n", ["bash"]),
        ('Excluded folder\nPath: "/tmp/"\nWildcard exclusion\nPattern: "/opt/*"\n', ["/tmp/"]),
        ("Excluded folder\nPath: /a\n" * 2_600, ["/a"] * 2_500),
    ],
)
def test_exclusions_in_an_unknown_form_are_not_taken_for_none(output: str, values: list[str] | None) -> None:
    health = read("microsoft_defender", health=outputs.mdatp(), exclusions=output)
    assert (None if health.exclusions is None else [each.value for each in health.exclusions]) == values
    assert "of mdatp exclusion list are in an unknown form" in health.unread[0]


@pytest.mark.parametrize(
    ("source", "output", "field", "value"),
    [
        ("aid", 'aid="0123456789abcdef0123456789ABCDEF".', "onboarded", True),
        ("aid", "aid is not set.", "onboarded", False),
        ("rfm", "rfm-state=true.", "mode", REDUCED),
        ("rfm", "rfm-state=false.", "mode", BLOCK),
        ("rfm", "rfm-state is not set.", "mode", None),
        ("backend", "backend is not set.", "details", {"agent_id": None, "backend": None}),
        ("backend", "backend=bpf.", "details", {"agent_id": None, "backend": "bpf"}),
        ("version", "version = 7.20.17306.0", "version", "7.20.17306.0"),
        ("cid", 'cid="fedcba9876543210fedcba9876543210".', "tenant", "fedcba9876543210fedcba9876543210"),
    ],
)
def test_each_setting_of_falcon_counts(source: str, output: str, field: str, value: t.Any) -> None:
    assert getattr(read("crowdstrike_falcon", **{source: output}), field) == value


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("aid", 'aid "0123456789abcdef0123456789abcdef" .'),
        ("aid", 'aid"0123456789abcdef0123456789abcdef".'),
        ("aid", 'aid="0123456789abcdef\n0123456789abcdef".'),
        ("aid", 'aid="not an id".'),
        ("aid", "rfm-state=false."),
        ("rfm", "rfm-state=perhaps."),
        ("backend", "backend?auto."),
        ("version", "version 7.20.17306.0"),
        ("version", "ERROR: version = 7.20.17306.0"),
    ],
)
def test_broken_outputs_of_falcon_are_unreadable_under_their_own_name(source: str, output: str) -> None:
    with pytest.raises(UnreadableError) as error:
        read("crowdstrike_falcon", **{source: output})
    assert error.value.source == source


def test_sentinelone_is_read_from_its_four_outputs() -> None:
    health = read("sentinelone", **outputs.SENTINEL)
    assert (health.version, health.engine, health.tenant) == ("24.2.1.8", "31.0.1.2", "https://eu-9.sentinelone.net")
    assert (health.real_time, health.tamper_protection, health.cloud) == (True, True, True)
    assert (health.onboarded, health.up_to_date, list(health.problems)) == (True, True, [])
    offline = {
        "management": outputs.SENTINEL["management"].replace(
            "Connectivity                     On", "Connectivity   Off"
        ),
        "engines": outputs.SENTINEL["engines"].replace(
            "Dynamic engine                      Enabled", "Dynamic engine   Disabled"
        ),
        "control": "Agent state      Disabled\n",
    }
    health = read("sentinelone", **{**outputs.SENTINEL, **offline})
    assert (health.real_time, health.cloud, health.up_to_date) == (False, False, None)
    assert health.problems == ["Dynamic engine is disabled"]


def test_bitdefender_is_read() -> None:
    health = read("bitdefender", status=outputs.BDUITOOL)
    assert (health.version, health.content, health.real_time) == ("7.2.0.200100", "7.98123", True)
    assert (health.content_time, health.up_to_date) == (1790856000.0, True)
    off = outputs.BDUITOOL.replace("Antimalware status: On", "Antimalware status: Off").replace(
        "content available: no", "content available: yes"
    )
    health = read("bitdefender", status=off)
    assert (health.real_time, health.up_to_date) == (False, False)
    unknown = outputs.BDUITOOL.replace("status: On", "status: Sleeping").replace("2026-10-01", "2026-13-41")
    health = read("bitdefender", status=unknown)
    assert (health.real_time, health.content_time) == (None, None)


def test_cortex_is_read() -> None:
    health = read("cortex_xdr", **outputs.CYTOOL)
    assert (health.version, health.content, health.real_time) == ("8.5.0.125392", "1420-125999", True)
    stopped = outputs.CYTOOL["runtime"].replace(
        "Running               /opt/traps/bin", "Stopped               /opt/traps/bin"
    )
    assert read("cortex_xdr", runtime=stopped).real_time is False
    analyser = outputs.CYTOOL["runtime"].replace(
        "Running               /opt/traps/an", "Stopped               /opt/traps/an"
    )
    health = read("cortex_xdr", runtime=analyser)
    assert (health.real_time, health.problems) == (True, ["clad is stopped"])


def test_wazuh_is_read() -> None:
    health = read("wazuh", state=outputs.WAZUH_STATE, configuration=outputs.WAZUH_CONFIGURATION)
    assert (health.cloud, health.onboarded, health.tenant) == (True, True, "siem.example.org")
    assert read("wazuh", state=outputs.WAZUH_STATE.replace("'connected'", "'pending'")).cloud is False
    fresh = outputs.WAZUH_CONFIGURATION.replace("siem.example.org", "MANAGER_IP")
    assert read("wazuh", state=outputs.WAZUH_STATE, configuration=fresh).onboarded is False
    # A manager has no state file of an agent.
    assert read("wazuh", configuration=outputs.WAZUH_CONFIGURATION).onboarded is None


@pytest.mark.parametrize(
    ("given", "real_time", "cloud", "onboarded", "problems"),
    [
        ({}, True, True, True, 0),
        ({"defend": None}, None, True, True, 0),
        ({"defend": 4}, False, True, True, 1),
        ({"defend": 3}, True, True, True, 1),
        ({"defend": 1}, None, True, True, 0),
        ({"fleet": 4}, True, False, True, 0),
        ({"state": 3}, True, True, True, 1),
        ({"managed": False, "fleet": 6}, True, None, False, 0),
    ],
)
def test_elastic_agent_is_read(
    given: dict[str, t.Any], real_time: bool | None, cloud: bool | None, onboarded: bool, problems: int
) -> None:
    health = read("elastic_agent", status=outputs.elastic(**given))
    assert (health.real_time, health.cloud, health.onboarded) == (real_time, cloud, onboarded)
    assert len(health.problems) == problems
    assert health.version == "9.1.0"


@pytest.mark.parametrize(
    ("product", "given", "facts"),
    [
        ("falco", {"version": "Falco version: 0.41.3 (x86_64)\n"}, {"version": "0.41.3"}),
        ("falco", {"version": '{"falco_version":"0.41.3","engine_version":50}'}, {"version": "0.41.3"}),
        (
            "osquery",
            {"version": "osqueryd version 5.18.1\n", "flags": "--tls_hostname=o.example\n"},
            {"tenant": "o.example"},
        ),
        ("clamav", {"version": "ClamAV 1.4.6/27800/Thu Oct  1 12:00:00 2026\n"}, {"content_time": 1790856000.0}),
        ("clamav", {"version": "ClamAV 1.4.6\n"}, {"content": None, "content_time": None, "version": "1.4.6"}),
        ("auditd", {"status": outputs.AUDITCTL}, {"real_time": True, "problems": []}),
        ("auditd", {"status": "enabled 0\nlost 12\n"}, {"problems": ["the kernel lost 12 audit records"]}),
        ("auditd", {"status": "enabled 2\nlost 0\n"}, {"tamper_protection": True}),
        ("fapolicyd", {"configuration": "permissive = 1\nnice_val = 14\n"}, {"mode": PASSIVE}),
        ("fapolicyd", {"configuration": "# nothing\n"}, {"mode": None}),
        ("selinux", {"enforce": "1"}, {"running": True, "mode": BLOCK}),
        ("selinux", {"enforce": "0"}, {"mode": PASSIVE}),
        ("apparmor", {"enabled": "Y\n", "profiles": "man (enforce)\nx (complain)\n"}, {"running": True, "mode": BLOCK}),
        ("apparmor", {"enabled": "Y\n", "profiles": "x (complain)\n"}, {"mode": PASSIVE}),
        ("apparmor", {"enabled": "N\n"}, {"running": False}),
    ],
)
def test_the_others_are_read(product: str, given: dict[str, str], facts: dict[str, t.Any]) -> None:
    health = read(product, **given)._asdict()
    assert {name: health[name] for name in facts} == facts


@pytest.mark.parametrize("product", sorted(READERS))
def test_without_outputs_nothing_is_known(product: str) -> None:
    health = read(product)
    known = {name for name, value in health._asdict().items() if value not in (None, (), [], {}, product)}
    assert known - {"running", "details"} == set()


@pytest.mark.parametrize(
    ("product", "source", "output"),
    [
        (product, source, output)
        for product, sources in SOURCES.items()
        for source in sources
        for output in _NOT_EXPECTED
        # The kernel writes 1 there.
        if (product, output) != ("selinux", "1\n")
    ],
)
def test_what_is_no_output_of_it_is_neither_on_nor_off(product: str, source: str, output: str) -> None:
    with pytest.raises(UnreadableError) as error:
        read(product, **{source: output})
    assert error.value.source == source


@given(st.sampled_from(sorted(SOURCES)), st.text(max_size=300))
def test_no_text_makes_a_reader_fail_otherwise(product: str, output: str) -> None:
    for source in SOURCES[product]:
        with contextlib.suppress(UnreadableError):
            READERS[product]({source: output})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(outputs.mdatp()))), _JSON)
def test_no_value_of_defender_makes_its_reader_fail(name: str, value: t.Any) -> None:
    state = json.loads(outputs.mdatp())
    state[name] = value
    read("microsoft_defender", health=json.dumps(state))


@given(st.sampled_from(["info", "state", "message", "components", "FleetState"]), _JSON)
def test_no_value_of_elastic_makes_its_reader_fail(name: str, value: t.Any) -> None:
    state = json.loads(outputs.elastic())
    state[name] = value
    with contextlib.suppress(UnreadableError):
        read("elastic_agent", status=json.dumps(state))
