# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.filter import cef, leef, ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef as cef_format

from tests.support import hostile_events

EVENT = hostile_events.plain()[0]
FILTERS = {
    name: module.FilterModule().filters()[name] for name, module in (("cef", cef), ("leef", leef), ("ocsf", ocsf))
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_finding_and_its_event_give_the_same_line(name: str) -> None:
    line = FILTERS[name](EVENT)
    assert FILTERS[name]({"uid": "x", "event": EVENT}) == line
    assert FILTERS[name](wrap_var(EVENT)) == line
    assert line.startswith({"cef": "CEF:0|Bulwark|", "leef": "LEEF:2.0|Bulwark|", "ocsf": '{"category_uid":2,'}[name])


def test_the_line_of_ocsf_is_the_event() -> None:
    assert json.loads(FILTERS["ocsf"](EVENT)) == EVENT


@pytest.mark.parametrize("version", ["1.2", 1.2])
def test_the_version_of_cef_is_a_choice(version: t.Any) -> None:
    assert FILTERS["cef"](EVENT, version).encode() == cef_format.render(EVENT, "1.2").body


@pytest.mark.parametrize("version", ["1", "", None, True, 2])
def test_another_version_of_cef_is_refused(version: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"cef: version '.*' is not one of 0, 1.2"):
        FILTERS["cef"](EVENT, version)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([EVENT], "a finding of findings_info or its event is needed, not list"),
        ("text", "a finding of findings_info or its event is needed, not str"),
        ({}, "the finding has neither 'event' nor 'class_uid'"),
        ({"event": {}}, "the finding has neither 'event' nor 'class_uid'"),
        ({"class_uid": 2004, "x": object()}, "the event has a value of the type object, which JSON does not have"),
    ],
)
def test_what_is_no_finding_is_refused(name: str, value: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"{name}: {message}"):
        FILTERS[name](value)


@pytest.mark.parametrize("name", FILTERS)
def test_an_event_that_is_nested_without_end_is_refused(name: str) -> None:
    endless: dict[str, t.Any] = {"class_uid": 2004}
    endless["x"] = endless
    with pytest.raises(AnsibleFilterError, match=f"{name}: the event is nested too deeply"):
        FILTERS[name](endless)


@pytest.mark.parametrize("name", ["cef", "leef"])
def test_a_class_that_has_no_mapping_is_named(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"{name}: its class_uid is 1001"):
        FILTERS[name]({"class_uid": 1001})
