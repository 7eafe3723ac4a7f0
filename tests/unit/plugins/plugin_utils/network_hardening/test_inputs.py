# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic and options that come from hosts and people, and the model's content file."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    features,
    model,
    options,
    sources,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import InputError

GOOD: dict[str, t.Any] = {
    "source": "192.0.2.1",
    "port": 22,
    "protocol": "tcp",
    "direction": "in",
    "first_seen": 1_767_225_600,
    "last_seen": 1_767_312_000,
    "count": 3,
    "answered": 3,
    "refused": 0,
    "days": {"2026-01-01": 2, "2026-01-02": 1},
}


def test_an_entry() -> None:
    (seen,) = sources.read([GOOD])
    assert (seen.address, seen.port, seen.count, seen.bytes) == ("192.0.2.1", 22, 3, None)
    assert seen.days == {20_454: 2, 20_455: 1}
    assert sources.read([{**GOOD, "direction": "out"}]) == []
    (without,) = sources.read([{key: value for key, value in GOOD.items() if key != "days"}])
    assert sorted(without.days) == [20_454, 20_455]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "a name"}, "entry 0 of the traffic has no address in source"),
        ({"source": 7}, "has no address in source"),
        ({"source": None}, "has no address in source"),
        ({"protocol": "icmp"}, "has a protocol that is not one of tcp, udp, sctp"),
        ({"protocol": ["tcp"]}, "has a protocol that is not one of"),
        ({"direction": "up"}, "has a direction that is neither in nor out"),
        ({"port": 65536}, "has no number from 0 to 65535 in port"),
        ({"port": "22"}, "has no number from 0 to 65535 in port"),
        ({"count": -1}, "has no number from 0 to 9007199254740992 in count"),
        ({"count": True}, "in count"),
        ({"count": float("nan")}, "in count"),
        ({"count": 10**400}, "in count"),
        ({"bytes": float("inf")}, "in bytes"),
        ({"first_seen": 1_767_400_000}, "was last seen before it was first seen, or before 2001"),
        ({"first_seen": 7}, "was last seen before it was first seen, or before 2001"),
        ({"days": ["2026-01-01"]}, "has days that are not a dictionary of dates"),
        ({"days": {"yesterday": 1}}, "has a day that is not a date like 2026-01-31"),
        ({"days": {"2026-01-01": "1"}}, "has a day without a number of connections"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named(change: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        sources.read([{**GOOD, **change}])


@pytest.mark.parametrize(
    ("traffic", "words"), [("text", "not a list but of type str"), ([7], "entry 0 .* is not a dictionary")]
)
def test_no_traffic(traffic: t.Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sources.read(traffic)


def read(**given: t.Any) -> options.Options:
    names = ("listening", "trusted", "threats", "findings", "names", "public_ports")
    return options.read(**{**dict.fromkeys(names), "minimum_days": 14, "max_prefixes": 16, **given})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"listening": "22"}, "listening is not a list but of type str"),
        ({"listening": [22]}, "listening has an entry that is not a dictionary with port and protocol"),
        ({"listening": [{"port": 0}]}, "listening has an entry that is not a port with its protocol, like 22/tcp"),
        ({"listening": [{"port": 22, "protocol": "x"}]}, "listening has an entry that is not a port with its protocol"),
        ({"listening": [{"port": 22, "address": "eth0"}]}, "listening has an address on port 22 that is none"),
        ({"trusted": "10.0.0.0/8"}, "trusted is not a list but of type str"),
        ({"trusted": ["ten"]}, "trusted has an entry that is not an address or prefix"),
        ({"trusted": [{"name": "x"}]}, "trusted has an entry that is not an address or prefix"),
        ({"threats": ["0.0.0.0/0"]}, "threats has the prefix 0.0.0.0/0, which is too wide to be meant"),
        ({"threats": ["2000::/3"]}, "threats has the prefix 2000::/3, which is too wide to be meant"),
        ({"findings": ["x"]}, "findings has an entry that is not a finding of this collection"),
        ({"names": ["x"]}, "names is not a dictionary but of type list"),
        ({"names": {"x": "y"}}, "names has an entry that is not an address or prefix"),
        ({"public_ports": [443]}, "public_ports has an entry that is not a port with its protocol, like 22/tcp"),
        ({"public_ports": ["²/tcp"]}, "public_ports has an entry that is not a port"),
        ({"minimum_days": 0}, "minimum_days is not a whole number from 1 to 3650"),
        ({"minimum_days": "14"}, "minimum_days is not a whole number"),
        ({"max_prefixes": True}, "max_prefixes is not a whole number from 1 to 256"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(**given)


def test_the_smallest_prefix_names_a_source() -> None:
    asked = read(names={"10.0.0.0/8": "datacentre", "10.1.0.0/16": "backup", "2001:db8::/32": "office"})
    assert asked.name_of(4, 0x0A010203) == "backup"
    assert asked.name_of(4, 0x0A020203) == "datacentre"
    assert asked.name_of(6, 0x20010DB8_00000001) == "office"
    assert asked.name_of(4, 0x0B000000) == ""


def content() -> dict[str, t.Any]:
    return copy.deepcopy(catalogue.read(model.PATH))


def test_weights_say_what_their_words_say() -> None:
    found = content()["features"]
    for name in ("days", "regularity", "bytes_per_connection", "far_days"):
        assert found[name]["weight"] > 0, name
    for name in ("other_ports", "refused", "flood", "near_other_ports", "near_known_bad"):
        assert found[name]["weight"] < 0, name


def test_reasons_are_those_that_weigh_most() -> None:
    values = [content()["features"][name]["usual"] for name in features.NAMES]
    assert model.load().reasons(values, legitimate=True) == []
    values[features.NAMES.index("other_ports")] = 4.0
    values[features.NAMES.index("refused")] = 1.0
    assert model.load().reasons(values, legitimate=False)[:2] == [
        "tries other ports that do not answer",
        "is refused or not answered elsewhere",
    ]
    assert model.load().probability(values) < 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.pop("features"), "model.yml: there are no features"),
        (lambda data: data.pop("bias"), "model.yml: bias is not a number"),
        (lambda data: data["features"].pop("days"), "model.yml: the feature days is missing, or is none"),
        (lambda data: data["features"].update(luck={}), "the feature luck is missing, or is none"),
        (lambda data: data["features"].update(days=3), "model.yml: days is not a mapping"),
        (lambda data: data["features"]["days"].update(weight="1"), "model.yml: days: weight is not a number"),
        (lambda data: data["features"]["days"].update(usual=float("nan")), "model.yml: days: usual is not a number"),
        (lambda data: data["features"]["days"].update(high=3), "days has a high or low that is not text"),
    ],
)
def test_a_damaged_model_is_named(change: t.Callable[[dict[str, t.Any]], t.Any], words: str) -> None:
    data = content()
    change(data)
    with pytest.raises(ContentError, match=words):
        model.parse(data, "model.yml")
