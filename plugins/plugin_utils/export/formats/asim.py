# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an OCSF event as a row of Microsoft Sentinel with the columns of ASIM's AlertEvent 0.1.

Schema: https://learn.microsoft.com/azure/sentinel/normalization-schema-alert. Findings of all classes are alerts there,
compliance findings as "Compliance Violation"; Scan Activity has the same columns, and the parser in
``content/export/receivers/sentinel`` leaves it out of the alerts. ASIM's aliases are made by the parser too. Whatever
ASIM has no column for is in ``AdditionalFields``.

Azure Monitor cuts a value above 64 KB, in silence, so texts end earlier here, marked. ``AdditionalFields`` and the row
have the size that the event gives them: whoever sends it fits it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import json_text, mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

# Values that the table and ASIM demand and only the event has; rows of the content give the rest.
_NEEDED = ("TimeGenerated", "EventStartTime", "EventEndTime")
_ADDITIONAL = "AdditionalFields"


class Row(t.NamedTuple):
    """A row by column, and how many of its values are not whole."""

    columns: dict[str, t.Any]
    shortened: int


def row(event: t.Mapping[str, t.Any]) -> Row:
    """Return an event as a row; raise UnfitError for a class without a mapping and for an event without times."""
    fields, shortened = mapping.for_event("asim", event).apply(with_primary(event))
    additional: dict[str, t.Any] = {}
    columns: dict[str, t.Any] = {_ADDITIONAL: additional}
    for field, value in fields.items():
        name, _dot, member = field.partition(".")
        if member:
            additional[member] = value
        else:
            columns[name] = value
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise UnfitError(f"it has nothing usable for '{missing[0]}', which ASIM demands")
    return Row(columns, shortened)


def render(event: t.Mapping[str, t.Any]) -> Rendered:
    """Return the row as one line of JSON without its end; raise UnfitError."""
    columns, shortened = row(event)
    try:
        return Rendered(json_text.compact(columns).encode(), shortened)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitError(f"it cannot be written as JSON: {error}") from None
