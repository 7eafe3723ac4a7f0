# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import fnmatch
import functools
import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ecs

from tests.support import hostile_events, mapped_events, require

PRODUCTS = ("elasticsearch", "opensearch")
# What OpenSearch has in all its versions instead of Elasticsearch's types.
INSTEAD = {"wildcard": "keyword", "match_only_text": "text", "constant_keyword": "keyword"}
# The types that fit a row of ours.
FITTING = {
    "text": {"keyword", "match_only_text", "text"},
    "list": {"keyword", "match_only_text", "text"},
    "iso_time": {"date"},
    "long": {"long"},
    "float": {"float"},
    "boolean": {"boolean"},
}
# A term of the index has 32,766 bytes at most; what is longer must not be indexed, or the document is refused.
LONGEST_TERM = 32_766


def template(product: str, name: str) -> dict[str, t.Any]:
    path = mapping.DIRECTORY / "receivers" / product / f"{name}.json"
    return t.cast("dict[str, t.Any]", json.loads(path.read_text(encoding="utf-8")))


@functools.cache
def properties(product: str, name: str) -> dict[str, dict[str, t.Any]]:
    """Return the mapped fields by dotted names, and their multi-fields."""

    def read(members: dict[str, t.Any], prefix: str) -> dict[str, dict[str, t.Any]]:
        mapped: dict[str, dict[str, t.Any]] = {}
        for key, value in members.items():
            if "properties" in value:
                assert set(value) == {"properties"}
                mapped |= read(value["properties"], f"{prefix}{key}.")
            else:
                mapped[f"{prefix}{key}"] = value
                mapped |= {f"{prefix}{key}.{sub}": field for sub, field in value.get("fields", {}).items()}
        return mapped

    return read(template(product, name)["template"]["mappings"]["properties"], "")


def written() -> set[str]:
    fields = {row.field for rows in mapped_events.rows("ecs").values() for row in rows}
    return fields | set(mapped_events.flat({"data_stream": ecs.document(hostile_events.plain()[0])["data_stream"]}))


@pytest.mark.parametrize("product", PRODUCTS)
def test_each_field_of_the_format_is_mapped_and_no_other(product: str) -> None:
    mapped = properties(product, "bulwark-findings")
    own = {name for name in mapped if not name.endswith(".text")}
    assert own == written() | {"event.dataset"}
    for event in hostile_events.many():
        assert set(mapped_events.flat(ecs.document(event))) <= own


@pytest.mark.parametrize("product", PRODUCTS)
def test_each_field_of_ecs_has_the_type_of_ecs(product: str) -> None:
    require("data:export")
    known = {row["Field"]: row["Type"] for row in mapped_events.table("ecs/fields.csv")}
    mapped = properties(product, "bulwark-findings")
    for name, field in mapped.items():
        if name in known:
            expected = known[name]
            assert field["type"] == (INSTEAD.get(expected, expected) if product == "opensearch" else expected), name
    missing = {name for name in known if name.endswith(".text") and name[:-5] in mapped} - set(mapped)
    assert not missing


@pytest.mark.parametrize("product", PRODUCTS)
def test_each_field_of_ours_has_a_type_for_its_values(product: str) -> None:
    mapped = properties(product, "bulwark-findings")
    for rows in mapped_events.rows("ecs").values():
        for row in rows:
            if row.reference is None:
                assert mapped[row.field]["type"] in FITTING[row.type], row.field


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("name", ["bulwark-findings", "bulwark-ocsf"])
def test_no_value_is_too_long_for_the_index(product: str, name: str) -> None:
    for path, field in properties(product, name).items():
        if field["type"] == "keyword":
            # A character has four bytes at most.
            assert field["ignore_above"] * 4 <= LONGEST_TERM, path


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("name", ["bulwark-findings", "bulwark-ocsf"])
def test_an_unknown_field_changes_no_mapping(product: str, name: str) -> None:
    read = template(product, name)
    assert read["template"]["mappings"]["dynamic"] is False
    assert read["template"]["mappings"]["date_detection"] is False
    assert read["data_stream"] == {}


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_template_is_for_the_streams_of_the_format(product: str) -> None:
    patterns = template(product, "bulwark-findings")["index_patterns"]
    assert any(fnmatch.fnmatchcase(ecs.DATA_STREAM, pattern) for pattern in patterns)
    others = template(product, "bulwark-ocsf")["index_patterns"]
    assert not set(patterns) & set(others)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_ocsf_template_maps_members_that_events_have(product: str) -> None:
    known: set[str] = {"@timestamp"}
    for event in hostile_events.plain():
        known |= names(event)
    # Members that only some events have.
    known |= {"finding_info.attacks.sub_technique.uid", "vulnerabilities.advisory.uid", "unmapped.notes"}
    mapped = properties(product, "bulwark-ocsf")
    assert set(mapped) <= known
    assert mapped["time"] == {"type": "date", "format": "epoch_millis"}
    # An event whose value is of another kind is stored all the same.
    assert template(product, "bulwark-ocsf")["template"]["settings"]["index.mapping.ignore_malformed"] is True


def names(value: t.Any, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        return {name for key, item in value.items() for name in names(item, f"{prefix}.{key}" if prefix else key)}
    if isinstance(value, list):
        return {prefix} | {name for item in value for name in names(item, prefix)}
    return {prefix}
