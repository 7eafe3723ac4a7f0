# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a policy of just-in-time access before it is used: find locks that lock out nobody."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import prefix_sets

_MOST_NAMED = 5


def useless(ports: t.Any, always_allow: t.Any) -> list[str]:
    """Return a sentence for each lock whose sources may come anyway, as ``always_allow`` has them.

    What is no policy is for the module to refuse.
    """
    if not isinstance(ports, list) or not isinstance(always_allow, list) or not always_allow:
        return []
    said = []
    try:
        for lock in ports:
            sources = lock.get("sources") if isinstance(lock, dict) else None
            inside = prefix_sets.within(always_allow, sources) if isinstance(sources, list) else []
            if sources is None or not inside:
                continue
            if prefix_sets.covers(always_allow, sources):
                said.append(
                    f"The lock of port {lock.get('port')} has no effect: always_allow has all of its sources, so they "
                    "need no grant. Name fewer in always_allow."
                )
            else:
                named = ", ".join(map(str, inside[:_MOST_NAMED]))
                more = f" and {len(inside) - _MOST_NAMED} more" if len(inside) > _MOST_NAMED else ""
                said.append(
                    f"The lock of port {lock.get('port')} has sources that need no grant: always_allow has {named}"
                    f"{more}. Name them in one of the two."
                )
    except prefix_sets.PrefixSetError as error:
        return [f"always_allow was not compared with sources: {error}."]
    return said
