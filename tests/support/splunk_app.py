# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the files of the Splunk app as Splunk's documentation of them says, and apply its event types to an event."""

from __future__ import annotations

import configparser
import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping

_DIRECTORY = mapping.DIRECTORY / "receivers" / "splunk" / "TA-bulwark" / "default"
_TERM = re.compile(r'(?P<field>\w+)(?:=(?P<value>"[^"]*"|\S+)| IN \((?P<values>[^)]*)\))')


@functools.cache
def stanzas(name: str) -> dict[str, dict[str, str]]:
    """Return the settings of a file by stanza; a setting that is there twice is an error."""
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # Splunk's settings have cases
    parser.read_string((_DIRECTORY / f"{name}.conf").read_text(encoding="utf-8"))
    return {stanza: dict(parser[stanza]) for stanza in parser.sections()}


def event_type_tags() -> dict[str, set[str]]:
    """Return the tags of each event type."""
    return {
        stanza.removeprefix("eventtype="): {tag for tag, state in settings.items() if state == "enabled"}
        for stanza, settings in stanzas("tags").items()
    }


@functools.cache
def terms(search: str) -> list[tuple[str, set[str]]]:
    """Return the terms of a search, all of which must hold, as fields with their values; raise ValueError."""
    parsed = []
    rest = search
    while rest:
        term = _TERM.match(rest)
        if term is None:
            raise ValueError(f"cannot read the search from here: {rest}")
        listed = term["values"].split(",") if term["values"] is not None else [term["value"]]
        parsed.append((term["field"], {value.strip().strip('"') for value in listed}))
        rest = rest[term.end() :].strip()
    return parsed


def event_types_of(source_type: str, fields: t.Mapping[str, t.Any]) -> set[str]:
    """Return the event types of an event with these fields."""
    values = {**fields, "sourcetype": source_type}
    return {
        name
        for name, settings in stanzas("eventtypes").items()
        if all(values.get(field) in wanted for field, wanted in terms(settings["search"]))
    }
