# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the documentation that lists the ways to run code; run as a module, this writes it."""

from __future__ import annotations

import pathlib
import typing as t

from tests.integration.app_control._ways.table import WAYS
from tests.integration.app_control._ways.way import Way

PAGE = pathlib.Path(__file__).parents[4] / "docs" / "docsite" / "rst" / "app_control_ways.rst"

_HEAD = """.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors

.. _ansible_collections.bulwark.servers.docsite.app_control_ways:

Ways to run code, and what reports them
=======================================

Application control notices programs that no allowlist has, and some code runs without such a program. The project's
tests do each of the following for real, on a Debian with audit rules and an allowlist of its packages, and then ask all
capabilities. The table says which alerts they raised. **{unseen} of {all} ways raise none.** Each was tried again on a
host where fapolicyd enforces the allowlist. **There {blocked} ways are blocked, {alerted} run and raise alerts, and
{silent} run and raise none.** :ref:`ansible_collections.bulwark.servers.docsite.app_control` describes the allowlists.

- Scripts are run as root from directories below ``/tmp``, so that nobody's permissions get in their way. Some alerts of
  other capabilities are about that, or about what a script does first, such as to copy a program.
- What is still running when the scan looks is seen by more. Most of these programs and scripts end at once.
- The allowlist has all packages of that Debian by name, also those that record no digests of their files. Packages
  whose files a script changes record them.
- What systemd starts was tried in a container with systemd, which is on the host's audit log like everything else.
- A packaged program that runs code of somebody else is itself allowed. If a role has no need of gdb, busybox or a
  compiler, leave them out of its allowlist: then they are reported whenever they run.

Enforced
--------

Blocked means that the code did not run: each script makes its code leave a proof, and on the same host without
fapolicyd every code left it. This was tried with fapolicyd 1.3.4 on a whole Debian 13 with systemd, with the policy
that the collection makes of the allowlist. Other ways have the alerts that they have in audit mode, where
these were measured: "by us" is application control.

- Only the root's file system was watched. A memory file is on none that can be watched. A tmpfs can be, but wasn't.
- fapolicyd marks mounts (``allow_filesystem_mark = 0``, as the collection sets it). A process in a mount namespace of
  its own has other mounts, of which fapolicyd sees nothing: ``unshare --mount ./program``, a unit of systemd with
  ``PrivateTmp`` or ``ProtectSystem``, and a container run everything. With ``allow_filesystem_mark = 1`` all of these
  were stopped, but so was every program of a container, as no allowlist of the host has it.
- fapolicyd knows a script by its first line (``#!``), and refuses to let interpreters read those only. Nothing is
  refused to Python of root, with which Ansible's modules run.
- Containers were tried with runc and an overlay. The kernel starts a helper for crashes (core_pattern) in its first
  mount namespace. The host of this test has another one, so this was not tried.
- fapolicyd decides by file, not by name, and remembers the decision. A trusted program that ran under another name was
  refused, and then it was refused under its own name, too. A hard link did that until it was removed. A bind mount of
  its directory did it even after it was unmounted, until fapolicyd was restarted. A rename did it in one of two tries,
  and to load the rules again did not help. So do not rename programs of packages or run them through a bind mount.
  If it happened, run ``systemctl restart fapolicyd``.

The table
---------

.. list-table::
   :header-rows: 1
   :widths: 38 16 20 26

   * - How code is run
     - Enforced
     - Application control
     - Other capabilities
"""


def page() -> str:
    """Return the page as reStructuredText."""
    running = [way for way in WAYS if way.blocked is False]
    figures = {
        "all": len(WAYS),
        "unseen": sum(not way.control and not way.others for way in WAYS),
        "blocked": sum(way.blocked is True for way in WAYS),
        "alerted": sum(bool(way.control or way.others) for way in running),
        "silent": sum(not way.control and not way.others for way in running),
    }
    head = _HEAD
    for name, figure in figures.items():
        head = head.replace(f"{{{name}}}", str(figure))
    return head + "".join(map(_row, WAYS))


def _row(way: Way) -> str:
    control = ", ".join(f"``{alert}``" for alert in way.control)
    cells = (way.how, _enforced(way), control or "not seen", _others(way.others) or "not seen")
    return "   * - " + "\n     - ".join(cells) + "\n"


def _enforced(way: Way) -> str:
    if way.blocked is None:
        return "not tried"
    if way.blocked:
        return "**blocked**"
    if way.control:
        return "reported by us"
    return "reported by others" if way.others else "not seen"


def _others(alerts: t.Sequence[str]) -> str:
    """Return the alerts by capability."""
    by: dict[str, list[str]] = {}
    for each in alerts:
        capability, _colon, alert = each.partition(": ")
        by.setdefault(capability, []).append(f"``{alert}``")
    return "; ".join(f"{capability}: {', '.join(names)}" for capability, names in by.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
