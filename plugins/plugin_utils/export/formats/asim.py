# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an OCSF event as a row of Microsoft Sentinel with the columns of ASIM's AlertEvent 0.1.

Schema: https://learn.microsoft.com/azure/sentinel/normalization-schema-alert. Findings of all classes are alerts there,
compliance findings as "Compliance Violation"; Scan Activity has the same columns, and the parser in
``content/export/receivers/sentinel`` leaves it out of the alerts. ASIM's aliases are made by the parser too. Whatever
ASIM has no column for is in ``AdditionalFields``.

Azure Monitor cuts a value above 64 KB, in silence. So texts end earlier here, marked, and ``AdditionalFields`` loses
evidences from the last, with a note in it.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit, json_text, mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

# Bytes of one value, with room to the 64 KB of Azure Monitor.
VALUE_BYTES = 64_000
ADDITIONAL = "AdditionalFields"
# What the table and ASIM demand and only the event can give; rows of the content give the rest.
_NEEDED = ("TimeGenerated", "EventStartTime", "EventEndTime")


class Row(t.NamedTuple):
    """A row by column, and how many of its values are not whole."""

    columns: dict[str, t.Any]
    shortened: int


def row(event: t.Mapping[str, t.Any]) -> Row:
    """Return an event as a row; raise UnfitError for a class without a mapping and for an event without times."""
    columns, additional, shortened = _split(event)
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise UnfitError(f"it has nothing usable for '{missing[0]}', which ASIM demands")
    if len(_written(additional)) > VALUE_BYTES:
        fitted = fit.fit(event, VALUE_BYTES, lambda reduced: Rendered(_written(_split(reduced)[1])))
        additional = json.loads(fitted.body)
        shortened += fitted.removed + fitted.shortened
    return Row({**columns, ADDITIONAL: additional}, shortened)


def render(event: t.Mapping[str, t.Any]) -> Rendered:
    """Return the row as one line of JSON without its end; raise UnfitError."""
    columns, shortened = row(event)
    return Rendered(_written(columns), shortened)


def _split(event: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any], int]:
    """Return the columns, the members of ``AdditionalFields``, and how many values are not whole."""
    fields, shortened = mapping.for_event("asim", event).apply(with_primary(event))
    columns: dict[str, t.Any] = {}
    additional: dict[str, t.Any] = {}
    for field, value in fields.items():
        name, _dot, member = field.partition(".")
        if member:
            additional[member] = value
        else:
            columns[name] = value
    return columns, additional, shortened


def _written(value: t.Mapping[str, t.Any]) -> bytes:
    try:
        return json_text.compact(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitError(f"it cannot be written as JSON: {error}") from None
