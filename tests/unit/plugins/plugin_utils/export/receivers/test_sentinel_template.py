# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import asim

from tests.support import hostile_events, mapped_events, require

DIRECTORY = mapping.DIRECTORY / "receivers" / "sentinel"
TEMPLATE: dict[str, t.Any] = json.loads((DIRECTORY / "azuredeploy.json").read_text(encoding="utf-8"))
TABLES = ("BulwarkAlertEvent_CL", "BulwarkFindings_CL")
PARSERS = ("ASimAlertEventBulwark", "vimAlertEventBulwark")
# The types of columns by the logical types of ASIM (https://learn.microsoft.com/azure/sentinel/normalization-about-schemas).
OF_ASIM = {"integer": "int", "int": "int", "risklevel (integer)": "int", "long": "long", "bool": "boolean"}
OF_ASIM |= {"date/time": "datetime", "datetime": "datetime", "dynamic": "dynamic"}
# Names that Azure Monitor keeps for itself.
RESERVED = {"id", "billedsize", "isbillable", "invalidtimegenerated", "tenantid", "title", "type", "uniqueid"}
CHECKS: dict[str, t.Callable[[t.Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "int": lambda value: mapped_events.is_whole(value, 32),
    "long": lambda value: mapped_events.is_whole(value, 64),
    "boolean": lambda value: isinstance(value, bool),
    "datetime": mapped_events.is_time,
    "dynamic": lambda value: isinstance(value, (dict, list)),
}
# The parameters of ASIM's filtering parsers for alerts, which the unifying parser passes on.
FILTERS = {
    "starttime": "datetime",
    "endtime": "datetime",
    **{f"{name}_has_any": "dynamic" for name in ("hostname", "username", "attacktactics", "attacktechniques")},
    **{f"{name}_has_any": "dynamic" for name in ("threatcategory", "alertverdict", "eventseverity")},
    "ipaddr_has_any_prefix": "dynamic",
    "disabled": "bool",
}


def resources(kind: str) -> list[dict[str, t.Any]]:
    return [resource for resource in TEMPLATE["resources"] if resource["type"].endswith(kind)]


def columns(table: str) -> dict[str, str]:
    schemas = [resource["properties"]["schema"] for resource in resources("/tables")]
    (schema,) = [schema for schema in schemas if schema["name"] == table]
    return {column["name"]: column["type"] for column in schema["columns"]}


def rule() -> dict[str, t.Any]:
    (properties,) = [resource["properties"] for resource in resources("/dataCollectionRules")]
    return t.cast("dict[str, t.Any]", properties)


def query(parser: str) -> str:
    return (DIRECTORY / f"{parser}.kql").read_text(encoding="utf-8")


def code(parser: str) -> str:
    """Return a query without its comments and texts."""
    lines = [line for line in query(parser).splitlines() if not line.startswith("//")]
    return re.sub(r'"[^"]*"', '""', "\n".join(lines))


@pytest.mark.parametrize("table", TABLES)
def test_the_rule_takes_what_the_table_has(table: str) -> None:
    declared = rule()["streamDeclarations"][f"Custom-{table}"]["columns"]
    assert {column["name"]: column["type"] for column in declared} == columns(table)
    (flow,) = [flow for flow in rule()["dataFlows"] if flow["streams"] == [f"Custom-{table}"]]
    assert flow["outputStream"] == f"Custom-{table}"
    assert flow["destinations"] == [target["name"] for target in rule()["destinations"]["logAnalytics"]]


@pytest.mark.parametrize("table", TABLES)
def test_the_names_of_columns_are_possible_in_azure_monitor(table: str) -> None:
    assert columns(table)["TimeGenerated"] == "datetime"
    for name in columns(table):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,44}", name)
        assert name.lower() not in RESERVED


def test_each_column_of_the_asim_format_is_in_the_table_and_no_other() -> None:
    rows = [row for of_class in mapped_events.rows("asim").values() for row in of_class]
    assert set(columns("BulwarkAlertEvent_CL")) == {row.field.partition(".")[0] for row in rows}


def test_each_column_has_the_type_of_asim() -> None:
    require("data:export")
    known = {row["field"]: row for row in mapped_events.table("asim_fields.csv") if row["schema"] == "AlertEvent"}
    for name, kind in columns("BulwarkAlertEvent_CL").items():
        if name != "TimeGenerated":
            assert kind == OF_ASIM.get(known[name]["type"].lower(), "string"), name


def test_each_value_of_the_asim_format_is_of_the_type_of_its_column() -> None:
    known = columns("BulwarkAlertEvent_CL")
    for event in hostile_events.many():
        for name, value in asim.row(event).columns.items():
            assert CHECKS[known[name]](value), (name, value)


def test_each_member_of_an_ocsf_event_has_a_column_of_its_type() -> None:
    known = columns("BulwarkFindings_CL")
    for event in (*hostile_events.plain(), hostile_events.large_vulnerability()):
        for name, value in event.items():
            assert CHECKS[known[name]](value), (name, value)


@pytest.mark.parametrize("parser", PARSERS)
def test_the_template_has_the_parser_as_its_file_has_it(parser: str) -> None:
    (saved,) = [item["properties"] for item in resources("/savedSearches") if item["name"].endswith(f"/{parser}')]")]
    assert saved["functionAlias"] == parser
    assert saved["query"] == query(parser)


def test_the_filtering_parser_has_the_parameters_of_asim() -> None:
    (saved,) = [
        item["properties"] for item in resources("/savedSearches") if "vim" in item["properties"]["functionAlias"]
    ]
    parameters = re.findall(r"(\w+):(\w+)=(?:\w+\([^)]*\)+|\w+)", saved["functionParameters"])
    assert dict(parameters) == FILTERS
    used = set(re.findall(r"\w+", code("vimAlertEventBulwark")))
    assert set(FILTERS) <= used


@pytest.mark.parametrize("parser", PARSERS)
def test_a_parser_makes_the_aliases_of_asim_of_columns_that_are_there(parser: str) -> None:
    require("data:export")
    rows = [row for row in mapped_events.table("asim_fields.csv") if row["schema"] == "AlertEvent"]
    made = dict(re.findall(r"^\s+(\w+) = (\w+),?$", query(parser), flags=re.MULTILINE))
    assert set(made) == {row["field"] for row in rows if row["class"] == "Alias"}
    assert set(made.values()) <= set(columns("BulwarkAlertEvent_CL"))


@pytest.mark.parametrize("parser", PARSERS)
def test_a_parser_names_only_columns_that_are_there(parser: str) -> None:
    named = {name for name in re.findall(r"\b[A-Z]\w+", code(parser)) if name not in TABLES}
    require("data:export")
    aliases = {row["field"] for row in mapped_events.table("asim_fields.csv") if row["class"] == "Alias"}
    assert named <= set(columns("BulwarkAlertEvent_CL")) | aliases


@pytest.mark.parametrize("parser", PARSERS)
def test_a_parser_leaves_scan_coverage_out(parser: str) -> None:
    assert '| where EventOriginalType != "Scan Activity"' in query(parser)
    assert asim.row(hostile_events.plain()[5]).columns["EventOriginalType"] == "Scan Activity"
    findings = [asim.row(event).columns["EventOriginalType"] for event in hostile_events.plain()[:5]]
    assert "Scan Activity" not in findings
