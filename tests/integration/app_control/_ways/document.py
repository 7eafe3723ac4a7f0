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

You see which ways to run code raise an alert, which ones fapolicyd blocks, and which ones nothing sees. Application
control notices programs that no allowlist has, but some code runs without such a program.
:ref:`ansible_collections.bulwark.servers.docsite.app_control` describes the allowlists. This command shows what ran on
your hosts that no allowlist has:

.. code-block:: console

   $ ansible-playbook bulwark.servers.scan -i hosts.yml -e bulwark_capabilities=app_control

The project's tests run each way for real, on a Debian with audit rules and an allowlist of its packages. They note the
alerts of all capabilities. **{unseen} of {all} ways raise none.** Each way was tried again on a host where fapolicyd
enforces the allowlist. **There {blocked} ways are blocked, {alerted} run and raise alerts, and {silent} run and raise
none.**

- Scripts run as root from directories below ``/tmp``, so that no permission stops them. Some alerts of other
  capabilities are about this, or about a preparation of the script, such as a copied program.
- More capabilities see a program that still runs during the scan. Most of these programs and scripts end at once.
- The allowlist has all packages of that Debian by name, even those without recorded digests. Packages whose files a
  script changes have recorded digests.
- Units of systemd were tried in a container with systemd, which shares the audit log of the host.
- A packaged program that runs foreign code is itself allowed. If a role does not need gdb, busybox or a compiler, leave
  them out of its allowlist. Then they are reported whenever they run.

Enforced
--------

Blocked means that the code did not run. Each script makes its code leave a proof, and without fapolicyd all code left
it on the same host. This was tried with fapolicyd 1.3.4 on a whole Debian 13 with systemd, with the policy that the
collection makes of the allowlist. For the other ways the column has their alerts in audit mode: "here" is application
control, "elsewhere" another capability.

- fapolicyd watched the root's file system only. No memory file is on a file system that can be watched. A tmpfs can be
  watched, but was not.
- fapolicyd marks mounts (the collection sets ``allow_filesystem_mark = 0``). It sees nothing of the mounts in another
  mount namespace: ``unshare --mount ./program``, a systemd unit with ``PrivateTmp`` or ``ProtectSystem``, and a
  container run everything. ``allow_filesystem_mark = 1`` stopped all of these, but also every program of a container,
  as no allowlist of the host has it.
- fapolicyd marks a new mount a moment after it is there. A program that root mounts and runs at once can be faster: in
  two of eight tries on a busy host. The table has what holds from then on.
- fapolicyd knows a script by its first line (``#!``), and stops interpreters from reading such files only. It refuses
  nothing to root's Python, which runs Ansible's modules.
- Containers were tried with runc and an overlay. The kernel starts a crash helper (core_pattern) in the first mount
  namespace. The host of this test has another one, so this was not tried.
- fapolicyd decides by file, not by name, and remembers the decision. It refused a trusted program that ran under
  another name, and then also under its own name. A hard link had this effect until it was removed, in some tries even
  after that. A bind mount of the directory had it on programs that had not run before: they stayed refused after the
  unmount, until fapolicyd was restarted. A rename had it in one of two tries, and a reload of the rules did not help.
  So do not rename programs of packages, and do not run them through a bind mount.
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
        return "reported here"
    return "reported elsewhere" if way.others else "not seen"


def _others(alerts: t.Sequence[str]) -> str:
    """Return the alerts by capability."""
    by: dict[str, list[str]] = {}
    for each in alerts:
        capability, _colon, alert = each.partition(": ")
        by.setdefault(capability, []).append(f"``{alert}``")
    return "; ".join(f"{capability}: {', '.join(names)}" for capability, names in by.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
