# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as rows of a table of Microsoft Sentinel, within the limits of the Logs Ingestion API.

A call has 1 MB at most, compressed or not, and a field 64 KB; Sentinel cuts longer fields without a word, so that they
are shortened here. See Microsoft's "Azure Monitor service limits", section "Logs Ingestion API".
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit, json_text, value_types
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import asim, ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

FORMATS = ("ocsf", "asim")
# Below 1,000,000 bytes with the brackets and commas of an array: events of a batch, and their bytes.
BATCH_EVENTS = 2_000
BATCH_BYTES = 990_000
# Below 64 KB, as the receiver may write a value a little longer than we do.
_FIELD_BYTES = 64_000

Render = t.Callable[[t.Mapping[str, t.Any]], fit.Rendered]


def fitted(event: t.Mapping[str, t.Any], render: Render) -> fit.Fitted:
    """Return an event as a row whose fields, and which itself, are small enough; raise UnfitError."""
    return fit.fit(event, _FIELD_BYTES, lambda reduced: _measured(render(reduced)))


def renderer(name: str) -> Render:
    """Return what writes rows of a format, of any size."""
    return asim.render if name == "asim" else _ocsf


def _ocsf(event: t.Mapping[str, t.Any]) -> fit.Rendered:
    """Return an OCSF event with the one column that each table has; its members are the other columns."""
    generated = value_types.iso_time(event.get("time"))
    if generated is None:
        raise UnfitError("it has no time between the years 1970 and 9999")
    return ocsf.render({"TimeGenerated": generated, **event})


def _measured(rendered: fit.Rendered) -> fit.Rendered:
    """Return a row with the size of its largest field, and what counts of the size of the row if that is more."""
    body = rendered.body
    if len(body) <= _FIELD_BYTES:
        return rendered
    fields = json.loads(body)
    largest = max(len(_text(value).encode()) for value in fields.values())
    # Both limits in one: a row of BATCH_BYTES counts as much as a field of _FIELD_BYTES.
    row = -(-len(body) * _FIELD_BYTES // BATCH_BYTES)
    return fit.Rendered(body, rendered.shortened, max(largest, row))


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else json_text.compact(value)
