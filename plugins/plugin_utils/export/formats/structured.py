# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event as structured data of RFC 5424: named fields in one element, and its message as text.

The fields are content, ``content/export/structured``; a receiver that parses RFC 5424 has them without a parser of its
own.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, paths, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import rfc5424


class Structured(t.NamedTuple):
    """Structured data and the text of a message. shortened: how many values the format had to cut."""

    data: str
    text: str
    shortened: int


def structured(event: t.Mapping[str, t.Any], identifier: str) -> Structured:
    """Return an event as structured data. identifier: the SD-ID. Raises UnfitError for an unknown class."""
    fields, shortened = mapping.for_event("structured", event, clean=visible.without_controls).apply(event)
    parameters = ((name, value if isinstance(value, str) else paths.text(value)) for name, value in fields.items())
    text = visible.without_controls(str(event.get("message", "")))
    return Structured(rfc5424.structured_element(identifier, parameters), text, shortened)
