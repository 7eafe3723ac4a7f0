# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the documentation that lists the ways to run code; run as a module, this writes it."""

from __future__ import annotations

import pathlib
import typing as t

from tests.integration.app_control._ways.table import WAYS, Way

PAGE = pathlib.Path(__file__).parents[4] / "docs" / "docsite" / "rst" / "app_control_ways.rst"

_HEAD = """.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors

.. _ansible_collections.bulwark.servers.docsite.app_control_ways:

Ways to run code, and what reports them
=======================================

Application control notices programs that no allowlist has, and some code runs without such a program. The project's
tests do each of the following for real, on a Debian with audit rules and an allowlist of its packages, and then ask all
capabilities. The table says which alerts they raised. **{unseen} of {all} ways raise none.**
:ref:`ansible_collections.bulwark.servers.docsite.app_control` describes the allowlists.

- Scripts are run as root from directories below ``/tmp``, so that nobody's permissions get in their way. Some alerts of
  other capabilities are about that, or about what a script does first, such as to copy a program.
- What is still running when the scan looks is seen by more. Most of these programs and scripts end at once.
- The allowlist has all packages of that Debian by name, also those that record no digests of their files. Packages
  whose files a script changes record them.
- What systemd starts was tried in a container with systemd, which is on the host's audit log like everything else.
- A packaged program that runs code of somebody else is itself allowed. If a role has no need of gdb, busybox or a
  compiler, leave them out of its allowlist: then they are reported whenever they run.

.. list-table::
   :header-rows: 1
   :widths: 44 24 32

   * - How code is run
     - Application control
     - Other capabilities
"""


def page() -> str:
    """Return the page as reStructuredText."""
    unseen = sum(not way.control and not way.others for way in WAYS)
    return _HEAD.replace("{unseen}", str(unseen)).replace("{all}", str(len(WAYS))) + "".join(map(_row, WAYS))


def _row(way: Way) -> str:
    control = ", ".join(f"``{alert}``" for alert in way.control)
    return f"   * - {way.how}\n     - {control or 'not seen'}\n     - {_others(way.others) or 'not seen'}\n"


def _others(alerts: t.Sequence[str]) -> str:
    """Return the alerts by capability."""
    by: dict[str, list[str]] = {}
    for each in alerts:
        capability, _colon, alert = each.partition(": ")
        by.setdefault(capability, []).append(f"``{alert}``")
    return "; ".join(f"{capability}: {', '.join(names)}" for capability, names in by.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
