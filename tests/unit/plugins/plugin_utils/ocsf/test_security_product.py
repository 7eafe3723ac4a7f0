# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of security products as findings: the product by the content, and nothing of a host's choice in its name."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.security_product import Description

from tests.unit.plugins.plugin_utils.ocsf import samples, schema

_CONSOLE = "https://console.acme.example/a/{alert}?m={machine}"
_OTHER = "https://console.acme.example/t/{tenant}"
_PRODUCTS = {"acme": Description("acme", "Acme", "Acme Inc.", (_CONSOLE, _OTHER), ("acme.example",))}


def finding(product: t.Any, **changes: t.Any) -> dict[str, t.Any]:
    detection = _finding.detection("test_alert_event", "Acme: x", "alerts", [], product={"id": "acme"}, **changes)
    detection["product"] = product
    return events.finding(detection, samples.CATALOGUE, samples.HOST, samples.NOW, products=_PRODUCTS)


def test_the_product_is_named_by_the_content_and_keeps_its_words() -> None:
    event = finding(
        {
            "id": "acme",
            "name": "Another",
            "uid": "a-1",
            "title": "Ransomware found",
            "rule": "R7",
            "severity": "Severe",
            "outcome": "quarantined",
            "malware": ["Ransom:Linux/X"],
            "techniques": ["T1485", "T1053.003", "T9999", "nonsense", 3],
            "reporter": "manager1",
            "link": {"alert": "a-1", "machine": "m/1"},
        },
        disposition="quarantined",
    )
    assert schema.errors(event) == []
    assert event["metadata"]["product"] == {"name": "Acme", "vendor_name": "Acme Inc.", "uid": "acme"}
    assert event["metadata"]["loggers"][0]["name"] == "bulwark.servers"
    analytic = event["finding_info"]["analytic"]
    assert (analytic["uid"], analytic["name"], analytic["category"]) == ("R7", "Ransomware found", "Acme")
    assert event["malware"][0]["classifications"] == ["Ransomware"]
    assert event["disposition"] == "Quarantined"
    assert event["unmapped"]["product"] == {
        "id": "acme",
        "alert_uid": "a-1",
        "rule": "R7",
        "severity": "Severe",
        "outcome": "quarantined",
        "reporter": "manager1",
        "unknown_techniques": ["T9999"],
    }
    # A character that an address is built with is none that an id has.
    assert "src_url" not in event["finding_info"]


def test_a_technique_below_one_that_is_listed_counts_as_that() -> None:
    event = finding({"id": "acme", "techniques": ["T1485.001"]})
    assert [attack["technique"]["uid"] for attack in event["finding_info"]["attacks"]].count("T1485") == 1
    assert event["unmapped"]["product"]["unknown_techniques"] == ["T1485.001"]


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ({"alert": "a-1", "machine": "m1"}, "https://console.acme.example/a/a-1?m=m1"),
        ({"alert": "a-1"}, None),
        ({"alert": "a-1", "tenant": "t1"}, "https://console.acme.example/t/t1"),
        ({"alert": "../x", "machine": "m1"}, None),
        ({"url": "https://eu.acme.example/a?id=1"}, "https://eu.acme.example/a?id=1"),
        ({"url": "https://acme.example.evil.example/a"}, None),
        ({"url": "https://evil.example/acme.example"}, None),
        ({"url": "https://acme.example@evil.example/"}, None),
        ({"url": "https://evil.example\\@acme.example/"}, None),
        ({"url": "javascript:alert(1)"}, None),
        ({"url": "http://eu.acme.example/"}, None),
        ({"url": "https://eu.acme.example:8443/"}, None),
        ({}, None),
    ],
)
def test_links_lead_to_the_console_of_the_product_only(link: dict[str, str], address: str | None) -> None:
    assert finding({"id": "acme", "link": link})["finding_info"].get("src_url") == address


@pytest.mark.parametrize(
    "product",
    [
        {"id": "other"},
        {},
        [],
        "acme",
        {"id": ["acme"]},
        {"id": "acme", "outcome": "ignored"},
        {"id": "acme", "title": 3},
        {"id": "acme", "malware": "x"},
        {"id": "acme", "techniques": {"T1485": 1}},
        {"id": "acme", "link": "https://acme.example"},
    ],
)
def test_what_is_no_product_is_refused(product: t.Any) -> None:
    with pytest.raises(events.DetectionError, match="unusable 'product'"):
        finding(product)


def test_no_other_capability_passes_on_alerts_of_products() -> None:
    detection = _finding.detection("test_alert_event", "x", "s", [], product={"id": "acme"})
    with pytest.raises(events.DetectionError, match="not that of a product"):
        events.finding(detection, samples.CATALOGUE, samples.HOST, samples.NOW)
