# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the documentation's tables of exported fields from the mappings of the collection.

    python3 tools/export_reference.py COLLECTION

COLLECTION is a copy of the collection, as for tools/alert_reference.py. The page export_fields says for each format and
class of event which field has which value, so that nobody at the receiving side has to guess.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing as t

from reference_page import PREFIX, escape, heading, table, write

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.export.rows import Row

NAME = "export_fields"
_TITLES = ("field", "value of the event", "type", "longest", "name in the reference")
_WIDTHS = "20 38 12 10 20"
# Formats by the folder of their mappings; one that isn't here has the name of its folder.
_FORMATS = {
    "cef": "ArcSight, CEF",
    "leef": "QRadar, LEEF",
    "ecs": "Elastic Common Schema",
    "asim": "Microsoft Sentinel, ASIM",
    "splunk_cim": "Splunk, CIM",
    "structured": "Syslog, structured data",
}
_HEAD = f"""\
.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors

.. _{PREFIX}{NAME}:

Fields of exported events
=========================

Which value of an OCSF event each format has in which field. A value that the event does not have gives no field. Where
two rows have the same field, the first that has a value counts. Lengths are in characters; what is longer is cut and
ends with ``…``, unless it says that it is left out. A field without a name in the reference of its format is ours.

.. contents::
   :local:
   :depth: 2
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="export_reference.py", description="Write the tables of exported fields into a copy of the collection."
    )
    parser.add_argument("collection", type=pathlib.Path, help="ansible_collections/bulwark/servers of the copy")
    collection = parser.parse_args(arguments).collection.absolute()
    sys.path.insert(0, str(collection.parents[2]))
    from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping

    formats = sorted(path.parent.name for path in mapping.DIRECTORY.glob("*/detection.yml"))
    rows = {name: {kind: mapping.load(name, kind).rows for kind in mapping.CLASSES.values()} for name in formats}
    write(collection / "docs" / "docsite", NAME, page(rows))
    return 0


def page(formats: t.Mapping[str, t.Mapping[str, t.Iterable[Row]]]) -> str:
    """Return the page in reStructuredText. formats: by folder the rows of each class of event."""
    parts = [_HEAD]
    for name, classes in formats.items():
        parts.append(heading(escape(_FORMATS.get(name, name)), "-"))
        for kind, rows in classes.items():
            parts.append(heading(kind.capitalize(), "~"))
            parts.append(table([_TITLES, *map(_cells, rows)], _WIDTHS))
    return "\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    label = f" (*{escape(row.label)}*)" if row.label else ""
    versions = f", version {escape(', '.join(row.versions))}" if row.versions else ""
    return (
        f"``{row.field}``{label}{versions}",
        _value(row),
        row.type,
        "" if row.limit is None else f"{row.limit}{', or left out' if row.too_long == 'leave_out' else ''}",
        escape(row.reference or ""),
    )


def _value(row: Row) -> str:
    if row.gathered:
        value = " and ".join(f"``{path}``" for path in row.gathered)
    elif row.sources:
        value = ", else ".join(f"``{path}``" for path in row.sources)
    else:
        value = f"always ``{row.constant}``"
    if row.values:
        value += "; " + ", ".join(f"{escape(key)} is ``{translated}``" for key, translated in row.values.items())
    if row.otherwise is not None:
        value += f"; otherwise ``{row.otherwise}``"
    for path, wanted in row.when:
        shown = "there" if "*" in wanted else " or ".join(f"``{text}``" for text in sorted(wanted))
        value += f"; only if ``{path}`` is {shown}"
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
