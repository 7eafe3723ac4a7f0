# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of OCSF objects says what OCSF says."""

from __future__ import annotations

import ocsf_json_schema
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import VERSION
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.objects import OBJECTS

SCHEMA = ocsf_json_schema.get_ocsf_schema(VERSION)
KINDS = {
    "text": {
        "string_t",
        "file_name_t",
        "file_path_t",
        "process_name_t",
        "username_t",
        "hostname_t",
        "url_t",
        "reg_key_path_t",
    },
    "integer": {"integer_t"},
    "long": {"long_t"},
    "timestamp": {"timestamp_t"},
    "boolean": {"boolean_t"},
    "json": {"json_t"},
    "hash": {"file_hash_t"},
    "ip": {"ip_t"},
    "port": {"port_t"},
    "uuid": {"uuid_t"},
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_has_ocsf_s_attributes_and_requirements(name: str) -> None:
    shape = OBJECTS[name]
    theirs = SCHEMA["objects"].get(name) or SCHEMA["objects"][f"win/{name}"]
    for attribute, kind in shape.attributes.items():
        described = theirs["attributes"][attribute]
        assert not described.get("profile"), attribute
        if isinstance(kind, frozenset):
            assert kind == {int(number) for number in described["enum"]}, attribute
            continue
        assert kind.endswith("[]") == bool(described.get("is_array")), attribute
        kind = kind.removesuffix("[]")
        if kind == "mapping":
            assert described["object_type"] == "object", attribute
        elif kind in OBJECTS:
            assert described["object_type"].removeprefix("win/") == kind, attribute
        else:
            assert described["type"] in KINDS[kind], attribute
    assert set(shape.required) == {
        key for key, value in theirs["attributes"].items() if value["requirement"] == "required"
    }
    constraint = set((theirs.get("constraints") or {}).get("at_least_one", ()))
    assert set(shape.any_of) == constraint & set(shape.attributes)
    assert bool(shape.any_of) == bool(constraint)
