# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Write an OCSF event in the Common Event Format, as the CEF Implementation Standard of ArcSight (27) has it.

``CEF:0`` is version 0.1 of the specification, ``CEF:1`` is 1.2. A backslash and a pipe are escaped in the header, a
backslash and an equals sign in the extension, and only there a line feed is ``\n`` and a carriage return ``\r``. Other
control characters have no form in CEF; see ``visible``. Lengths count characters before they are escaped.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary

# The number in the header for each version of the specification.
VERSIONS: t.Mapping[str, str] = {"0": "0", "1.2": "1"}
# Rows of the content with these names are the header, in this order.
HEADER = ("deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "agentSeverity")


def render(event: t.Mapping[str, t.Any], version: str = "0") -> Rendered:
    """Return an event as one line without its end; raise UnfitError for a class that CEF has no mapping for.

    version: of the specification, one of ``VERSIONS``.
    """
    rows = mapping.for_event("cef", event, version, visible.with_lines_and_tabs)
    fields, shortened = rows.apply(with_primary(event))
    header = "|".join([_header(str(fields.pop(name, ""))) for name in HEADER])
    texts: list[str] = []
    numbers: list[str] = []
    for key, value in fields.items():
        if isinstance(value, str):
            texts.append(f"{key}={_extension(value)}")
        else:
            numbers.append(f"{key}={value}")
        label = rows.labels.get(key)
        if label is not None:
            numbers.append(f"{key}Label={_extension(label)}")
    # Spaces at the end of a value are lost where it is the last, so the last are values that never end in one.
    line = f"CEF:{VERSIONS[version]}|{header}|{' '.join(texts + numbers)}"
    return Rendered(line.encode(), shortened)


@functools.lru_cache(maxsize=1024)
def _header(value: str) -> str:
    """Return a value for the header, where CEF has no line feeds. There are few of them: alerts and their titles."""
    return visible.without_controls(value).replace("\\", "\\\\").replace("|", "\\|")


def _extension(value: str) -> str:
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "=" in value:
        value = value.replace("=", "\\=")
    if "\n" in value:
        value = value.replace("\n", "\\n")
    if "\r" in value:
        value = value.replace("\r", "\\r")
    return value
