# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import hec_events
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ocsf, splunk_cim

from tests.support import hostile_events, mapped_events, splunk_app

ALIAS = re.compile(r'"?(?P<source>[^"]+?)"? AS (?P<target>\w+)')
# Fields of Splunk itself, or of what its settings make of an event.
MADE = {"sourcetype"}


def aliases(source_type: str) -> dict[str, str]:
    """Return the aliases of a source type: from the name that Splunk gives a field to ours."""
    parsed = {}
    for setting, value in splunk_app.stanzas("props")[source_type].items():
        if setting.startswith("FIELDALIAS-"):
            match = ALIAS.fullmatch(value)
            assert match is not None, value
            parsed[match["target"]] = match["source"]
    return parsed


def names(value: t.Any, prefix: str = "") -> set[str]:
    """Return the names of the fields that Splunk makes of JSON: a.b for members, a{} for items."""
    if isinstance(value, dict):
        return {
            name
            for key, item in value.items()
            for name in names(item, f"{prefix}.{key}" if prefix else key) | {f"{prefix}.{key}" if prefix else key}
        }
    if isinstance(value, list):
        return {f"{prefix}{{}}"} | {name for item in value for name in names(item, f"{prefix}{{}}")}
    return set()


def test_each_source_type_of_the_export_has_its_settings() -> None:
    assert set(hec_events.SOURCETYPES.values()) == set(splunk_app.stanzas("props"))


def test_each_list_of_the_format_gets_its_own_name_back() -> None:
    lists = {row.field for rows in mapped_events.rows("splunk_cim").values() for row in rows if row.type == "list"}
    assert aliases("bulwark:cim") == {name: f"{name}{{}}" for name in lists}


def test_each_alias_of_the_ocsf_format_is_of_a_field_that_events_have() -> None:
    known = set().union(*(names(event) for event in hostile_events.plain()))
    assert set(aliases("bulwark:ocsf").values()) <= known
    for setting, value in splunk_app.stanzas("props")["bulwark:ocsf"].items():
        if setting.startswith("EVAL-"):
            for name in re.findall(r"'([^']+)'", value):
                optional = {"evidences{}.user.name", "evidences{}.actor.user.name"}
                assert name in known | optional, name


def test_the_models_of_both_source_types_are_made_of_the_same_fields() -> None:
    settings = splunk_app.stanzas("props")["bulwark:ocsf"]
    made = set(aliases("bulwark:ocsf")) | {name[5:] for name in settings if name.startswith("EVAL-")}
    needed = {"dest", "severity", "signature", "signature_id", "id", "type", "app", "user", "src", "vendor_product"}
    assert needed <= made
    for event_type in splunk_app.stanzas("eventtypes").values():
        assert {field for field, _values in splunk_app.terms(event_type["search"])} <= made | MADE


def test_the_fields_of_event_types_are_written_by_the_format() -> None:
    written = {row.field for rows in mapped_events.rows("splunk_cim").values() for row in rows}
    for event_type in splunk_app.stanzas("eventtypes").values():
        for field, values in splunk_app.terms(event_type["search"]):
            assert field in written | MADE
            assert values


def test_each_tagged_event_type_exists() -> None:
    assert set(splunk_app.event_type_tags()) <= set(splunk_app.stanzas("eventtypes"))


@pytest.mark.parametrize("position", range(6))
def test_an_event_is_of_one_class(position: int) -> None:
    event = hostile_events.plain()[position]
    types = splunk_app.event_types_of("bulwark:cim", splunk_cim.fields(event))
    expected = ("alert", "alert", "alert", "vulnerability", "vulnerability", "coverage")
    assert types == {f"bulwark_{expected[position]}"}


def test_alerts_that_the_settings_name_exist() -> None:
    category = splunk_app.stanzas("props")["bulwark:ocsf"]["EVAL-category"]
    known = {alert.id for alert in catalogue.load()}
    named = set(re.findall(r'"([a-z]+(?:_[a-z]+)+)"', category))
    assert named
    assert named <= known
    rows = [row for row in mapped_events.rows("splunk_cim")["detection"] if row.field == "category"]
    assert named == set(rows[0].values or ())


def test_the_time_is_where_the_settings_look_for_it() -> None:
    for source_type, render in (("bulwark:cim", splunk_cim.render), ("bulwark:ocsf", ocsf.render)):
        settings = splunk_app.stanzas("props")[source_type]
        for event in hostile_events.plain():
            line = render(event).body.decode()
            match = re.search(settings["TIME_PREFIX"], line)
            assert match is not None
            shown = re.split(r'[",}]', line[match.end() :])[0]
            assert len(shown) <= int(settings["MAX_TIMESTAMP_LOOKAHEAD"])
            given = splunk_cim.fields(event)["time"] if source_type == "bulwark:cim" else str(event["time"])
            assert shown == given


def test_the_ids_of_an_ocsf_event_are_all_extracted() -> None:
    settings = splunk_app.stanzas("transforms")
    reported = splunk_app.stanzas("props")["bulwark:ocsf"]["REPORT-bulwark_cve"]
    event = hostile_events.plain()[3]
    ids = re.findall(settings[reported]["REGEX"], ocsf.render(event).body.decode())
    assert ids == ["CVE-2026-1000", "CVE-2026-1001", "CVE-2026-1002"]


def test_no_event_is_larger_than_splunk_keeps() -> None:
    for settings in splunk_app.stanzas("props").values():
        assert int(settings["TRUNCATE"]) >= 1_000_000
    large = len(json.dumps(splunk_cim.fields(hostile_events.large())))
    assert large > 10_000, "Splunk's own limit would do"
