# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host that is in an attacker's hands reports of other hosts changes nothing that these found themselves."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events


def reported(product: str, subject: str) -> list[dict[str, t.Any]]:
    detection = _finding.detection(
        "edr_malware_found", subject, "alerts", [], "informational", last_time=100.0, product={"id": product}
    )
    return [{"host": ["web1"], "detection": detection}]


def test_an_alert_of_a_manager_names_who_reported_it() -> None:
    (other,) = alert_findings.read_others(reported("wazuh", "Wazuh: File deleted. (rule 553): /etc/shadow"))
    (recorded,) = alert_findings.elsewhere({"web1": [other]}, events.Device, "siem1", 100.0)
    (finding,) = recorded["findings"]
    assert finding["unmapped"]["subject"] == "Wazuh (siem1): File deleted. (rule 553): /etc/shadow"
    # Another host that says the same changes no finding of this one.
    (forged,) = alert_findings.elsewhere({"web1": [other]}, events.Device, "web9", 100.0)
    assert forged["findings"][0]["finding_info"]["uid"] != finding["finding_info"]["uid"]


@pytest.mark.parametrize(
    ("product", "subject"),
    [
        # As severe as the attacker likes, and with evidence of their own.
        ("falco", "Falco: Terminal shell in container: /usr/bin/bash"),
        ("wazuh", "ClamAV: Eicar in /srv/x"),
        ("nonsense", "Wazuh: x"),
    ],
)
def test_nothing_that_another_host_found_itself_is_reported_of_it(product: str, subject: str) -> None:
    with pytest.raises(events.DetectionError, match="an alert about another host"):
        alert_findings.read_others(reported(product, subject))


def test_no_alert_of_a_product_is_of_a_simulation() -> None:
    detection = {**reported("wazuh", "Wazuh: x")[0]["detection"], "simulation": "2f4b8f0e"}
    (finding,) = alert_findings.make([detection], events.Device("web1"), 100.0)
    assert "simulation" not in finding["unmapped"]
