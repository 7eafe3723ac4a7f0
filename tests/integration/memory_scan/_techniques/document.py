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

This page lists attack techniques that a memory scan finds, with the alert and the subtypes of each. Run such a scan:

.. code-block:: console

   $ ansible-playbook bulwark.servers.scan -i hosts.yml -l web1 -e bulwark_capabilities=memory_scan

The project's tests start each technique for real, as a harmless program that waits, or as Debian's miner. A test passes
if the scan makes one finding with exactly this alert and these subtypes. The evidence must have the address in memory,
the path or the connection. :ref:`ansible_collections.bulwark.servers.docsite.memory_scan` explains the scan, and says
what it cannot see.

.. list-table::
   :header-rows: 1
   :widths: 50 12 12 26

   * - Technique
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
