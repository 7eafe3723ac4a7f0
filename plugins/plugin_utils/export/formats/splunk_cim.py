# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an OCSF event with the fields of Splunk's Common Information Model.

Models: https://docs.splunk.com/Documentation/CIM/latest/User/Overview. Detection and Compliance Findings are Alerts;
Detection Findings about malware are Malware too, and Vulnerability Findings are Vulnerabilities. The tags that put an
event into a model come from the files in ``content/export/receivers/splunk``.

No finding is of the model Change: that is for each change with who made it and what came of it, and a finding is a
judgement that often stands for many. Scan Activity is of no model; CIM has none for what was looked at.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import json_text, mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError


def fields(event: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the fields of an event, flat, lists for those with more than one value; raise UnfitError.

    Those that searches need come first: Splunk looks for fields only in the beginning of a large event.
    """
    return mapping.for_event("splunk_cim", event).apply(with_primary(event)).fields


def render(event: t.Mapping[str, t.Any]) -> Rendered:
    """Return the fields as one line of JSON without its end, which is what HEC's ``event`` has; raise UnfitError."""
    try:
        return Rendered(json_text.compact(fields(event)).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitError(f"it cannot be written as JSON: {error}") from None
