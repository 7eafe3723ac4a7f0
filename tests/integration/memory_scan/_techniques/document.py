# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the documentation that lists the techniques; run as a module, this writes it."""

from __future__ import annotations

import pathlib

from tests.integration.memory_scan._techniques.table import TECHNIQUES, Technique

PAGE = pathlib.Path(__file__).parents[4] / "docs" / "docsite" / "rst" / "memory_scan_techniques.rst"

_HEAD = """.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors

.. _ansible_collections.bulwark.servers.docsite.memory_scan_techniques:

Techniques that memory scans find
=================================

The project's tests start each of these for real, as a harmless program of their own that waits, or Debian's miner. They
demand that a scan finds it once, by this alert, with these subtypes and nothing else, and with the place in memory, the
path or the connection as evidence. :ref:`ansible_collections.bulwark.servers.docsite.memory_scan` says how memory scans
look, and what they can't see.

.. list-table::
   :header-rows: 1
   :widths: 50 12 12 26

   * - What is started
     - ATT&CK
     - Alert
     - Subtypes
"""


def page() -> str:
    """Return the page as reStructuredText."""
    return _HEAD + "".join(_row(technique) for technique in TECHNIQUES)


def _row(technique: Technique) -> str:
    subtypes = ", ".join(f"``{name}``" for name in technique.subtypes)
    return f"   * - {technique.how}\n     - {technique.attack}\n     - {technique.kind}\n     - {subtypes}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
