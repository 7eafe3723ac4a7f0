# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page of the documentation that says of each edge on which builds of Windows it was seen."""

from __future__ import annotations

import typing as t

from tests.windows.conformance import catalogue, record

FILE = catalogue.ROOT / "docs" / "docsite" / "rst" / "windows_conformance.rst"
RECORDS = catalogue.KIT / "records"
NOT_SEEN = "not yet seen on Windows"

_HEAD = """\
.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors
.. Made by python -m tests.windows.conformance page

.. _ansible_collections.bulwark.servers.docsite.windows_conformance:

What was seen on Windows
========================

The collection reaches Windows by the edges in the table: its modules, and the members of the C# files in
``plugins/module_utils/windows/api``. The conformance kit compares each edge on a real host with a second, independent
way to see the same fact. Anybody with a Windows host
:ref:`can run it <ansible_collections.bulwark.servers.docsite.windows_conformance_kit>`.

"seen on BUILD" means that every check of the edge passed on that build. Nothing is claimed beyond it. Runs under Wine
do not count.
"""


def records() -> list[record.Record]:
    """Return the records in Git, oldest build first; raise record.RecordError."""
    read = [record.read(file) for file in sorted(RECORDS.glob("*.json"))]
    return sorted(read, key=lambda each: (*map(int, each.build.split(".")), each.name))


def text(known: t.Sequence[record.Record]) -> str:
    """Return the page in reStructuredText."""
    lines = [_HEAD, "Records", "-------", ""]
    lines += [_described(each) for each in known] or ["There is no record yet."]
    lines += ["", "Edges", "-----", "", ".. list-table::", "   :header-rows: 1", "   :widths: 30 45 25", ""]
    lines += ["   * - Edge", "     - Compared with", "     - Seen"]
    for edge in catalogue.edges():
        comparisons = dict.fromkeys(check.comparison for check in catalogue.checks() if check.edge == edge)
        lines += [f"   * - ``{edge}``", f"     - {'; '.join(comparisons)}", f"     - {_seen(edge, known)}"]
    return "\n".join(lines) + "\n"


def _described(each: record.Record) -> str:
    platform, controller = each.content["platform"], each.content["controller"]
    return (
        f"- {each.build}: {platform['edition']} ({platform['product_type']}, {platform['architecture']}), PowerShell"
        f" {platform['powershell_version']}, {controller['connection']}, ansible-core {controller['core']},"
        f" {each.content['time'][:10]}"
    )


def _seen(edge: str, known: t.Sequence[record.Record]) -> str:
    builds: dict[str, dict[str, None]] = {}
    for each in known:
        outcome = each.outcome(edge)
        if outcome != "not_possible":
            state = "seen on" if outcome == "passed" else "fails on"
            state = state if each.is_current(edge) else f"before its last change {state}"
            builds.setdefault(state, {})[each.build] = None
    shown = [f"{state} {', '.join(builds[state])}" for state in sorted(builds)]
    return "; ".join(shown if "seen on" in builds else [*shown, NOT_SEEN])
