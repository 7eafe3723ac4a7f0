# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.filter import asim, ecs, splunk_cim
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import asim as asim_format
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ecs as ecs_format
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import splunk_cim as splunk_cim_format

from tests.support import hostile_events

EVENT = hostile_events.plain()[0]
FILTERS = {
    name: module.FilterModule().filters()[name]
    for name, module in (("ecs", ecs), ("asim", asim), ("splunk_cim", splunk_cim))
}
FORMATS: dict[str, t.Any] = {"ecs": ecs_format, "asim": asim_format, "splunk_cim": splunk_cim_format}


@pytest.mark.parametrize("name", FILTERS)
def test_a_finding_and_its_event_give_what_the_export_sends(name: str) -> None:
    sent = json.loads(FORMATS[name].render(EVENT).body)
    assert FILTERS[name](EVENT) == sent
    assert FILTERS[name]({"uid": "x", "event": EVENT}) == sent
    assert FILTERS[name](wrap_var(EVENT)) == sent


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([EVENT], "a finding of findings_info or its event is needed, not list"),
        ({}, "the finding has neither 'event' nor 'class_uid'"),
        ({"class_uid": 1001}, "its class_uid is 1001"),
    ],
)
def test_what_is_no_finding_is_refused(name: str, value: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"{name}: {message}"):
        FILTERS[name](value)


def test_a_document_is_for_the_data_stream_that_is_named() -> None:
    assert FILTERS["ecs"](EVENT, "logs-bulwark.findings-prod")["data_stream"]["namespace"] == "prod"
    with pytest.raises(AnsibleFilterError, match="ecs: data_stream must be a text, not int"):
        FILTERS["ecs"](EVENT, 1)
