# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The products whose alerts are read: what is shipped is right, and what is wrong is named."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import product_log, source
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content, products
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.alert_sources import AlertSource
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.imports.formats import FORMATS

_RIGHT: dict[str, t.Any] = {"form": "falco"}
_RULE = {"title": "a", "query": "b", "severity": "low"}


def test_every_product_of_hosts_has_a_reader_and_every_format_a_product() -> None:
    own = {"clamd", "mdatp"}
    assert {each.form for each in alert_content.on_hosts().values()} == set(product_log._READERS) | own
    assert {each.id for each in alert_content.load().values() if each.form == "import"} <= set(FORMATS)
    assert set(FORMATS) <= set(alert_content.load())


def test_hosts_get_what_they_need() -> None:
    sent = source.parse(_payload.unpack(alert_content.packed())["sources"])
    assert {each.id for each in sent} == set(alert_content.on_hosts())
    # Who is run as root must be of its package.
    assert {each.id: each.packages for each in sent if each.command} == {"microsoft_defender": ("mdatp",)}


@pytest.mark.parametrize(
    ("product", "own", "severity"),
    [
        ("falco", "Critical", "critical"),
        ("falco", "unheard of", "medium"),
        ("wazuh", 3, "informational"),
        ("wazuh", 15, "critical"),
        ("crowdstrike_falcon", "1", "informational"),
        ("crowdstrike_falcon", 99, "critical"),
        ("elastic_agent", "73", "high"),
        ("sentinelone", "E_HIGH", "high"),
        ("carbon_black", 10, "critical"),
        ("clamav", "found", "high"),
    ],
)
def test_severities_are_translated(product: str, own: t.Any, severity: str) -> None:
    assert alert_content.load()[product].to_source().severity(own) == severity


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"form": "csv"}, "form 'csv' is not one of"),
        ({"colour": 1}, "unknown field 'colour'"),
        ({"severities": {"x": "huge"}}, "'huge' is not one of"),
        ({"steps": [[5, "low"], [1, "high"]]}, "must rise"),
        ({"steps": 5}, "a list of"),
        ({"floor": "x"}, "floor 'x'"),
        ({"console": ["http://x/{alert}"]}, "https"),
        ({"console": ["https://x/{path}"]}, "name only"),
        ({"paths": [1]}, "is not text"),
        ({"rules": [{**_RULE, "columns": {"c": ["("]}}]}, "no regular expression"),
        ({"rules": [{**_RULE, "color": 1}]}, "unknown field 'color'"),
        ({"name": ""}, "'name' is missing"),
        ({"always_logs": "yes"}, "always_logs is true or false"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(change: dict[str, t.Any], words: str) -> None:
    with pytest.raises(ContentError, match=words) as error:
        _parse({**_RIGHT, **change})
    assert str(error.value).startswith("edr/products/mine.yml: alerts")


def _parse(alerts: dict[str, t.Any]) -> AlertSource | None:
    programs = ["/usr/bin/agentd", "/opt/agent-*/agentd"]
    product = {"title": "X", "vendor": "Y", "kind": "sensor", "reference": "https://example.org/", "programs": programs}
    return products.parse({**product, "alerts": alerts}, "mine").alerts


def test_a_product_that_always_logs_is_noticed_by_its_programs() -> None:
    usual, always, named = _parse(_RIGHT), _parse({**_RIGHT, "always_logs": True}), _parse({**_RIGHT, "name": "Z"})
    assert usual is not None
    assert always is not None
    assert named is not None
    assert (usual.programs, always.programs) == ((), ("/usr/bin/agentd",))
    assert [(each.id, each.name, each.vendor) for each in (usual, named)] == [("mine", "X", "Y"), ("mine", "Z", "Y")]


def test_products_that_always_log_are_the_ones_with_daemons_on_the_host() -> None:
    always = {each.id for each in alert_content.load().values() if each.programs}
    assert always == {"clamav", "falco", "osquery", "sysmon"}
