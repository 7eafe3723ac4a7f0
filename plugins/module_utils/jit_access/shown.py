# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of jit_access, with the difference that people read."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.kernel import Kernel
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy


def result(before: Policy | None, wanted: Policy | None, seen: Kernel | None, packets: Nftables) -> dict[str, t.Any]:
    """Return what the module has to say. seen: of what is wanted, None where nothing is."""
    same = before is not None and before == wanted
    problem = seen.problem if seen else None
    there = seen is None or (seen.force is not None and (not same or seen.problem is None))
    return {
        "policy": wanted.fields() if wanted else None,
        "problem": problem if same else None,
        "trial": None,
        "confirmed": seen is not None and seen.problem is None,
        "survives_reboot": None,
        "closed": [],
        "diff": {
            "before": _shown(before if there else None, packets),
            "after": _shown(wanted, packets),
            "before_header": "locked ports",
            "after_header": "locked ports",
        },
    }


def _shown(policy: Policy | None, packets: Nftables) -> str:
    """Return a policy as people read it, and the rules of the kernel that it becomes."""
    if policy is None:
        return ""
    lines = [
        "lock %s: %s may ask, for at most %d s%s"
        % (
            lock,
            ", ".join(str(one) for one in lock.sources),
            lock.max_duration,
            "; connections end with the window" if lock.close_connections else "",
        )
        for lock in policy.locks
    ]
    lines += ["never lock out %s" % one for one in policy.always_allow]
    return "".join("%s\n" % line for line in [*lines, *packets.lines(policy)])
