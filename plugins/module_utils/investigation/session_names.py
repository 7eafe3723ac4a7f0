# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a sign-in that the auth log and the audit records both have one id.

logind takes the number of audit(7) for its sessions. Without logind the auth log has no number, and the same sign-in
would be two sessions, of which one has the key and the other one the processes.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.audit_history import SignIn
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Node

# Seconds between the two records of a sign-in.
_TOGETHER = 5.0


def with_numbers(facts: Facts, sign_ins: t.Sequence[SignIn]) -> Facts:
    """Return the facts with the numbers of audit(7) for sessions that have none. sign_ins: of the audit records."""
    names = _names([node for node in facts.nodes if node.kind == "session"], sign_ins)
    if not names:
        return facts
    return Facts(
        [node._replace(id=names.get(node.id, node.id)) for node in facts.nodes],
        [
            link._replace(source=names.get(link.source, link.source), target=names.get(link.target, link.target))
            for link in facts.links
        ],
        [event._replace(nodes=tuple(names.get(each, each) for each in event.nodes)) for event in facts.events],
    )


def _names(sessions: t.Sequence[Node], sign_ins: t.Sequence[SignIn]) -> dict[str, str]:
    """Return the new ids by the old ones: each number for the sign-in that is closest to it in time."""
    recorded: dict[tuple[str, str], dict[int, float]] = {}
    for sign_in in sign_ins:
        of_source = recorded.setdefault((printable(sign_in.account), printable(sign_in.address)), {})
        of_source.setdefault(sign_in.session, sign_in.time)
    pairs = []
    for node in sessions:
        if node.first is None or node.id.partition(":")[2].isdigit():
            continue
        source = str(node.facts.get("user") or ""), str(node.facts.get("source") or "")
        for number, time in recorded.get(source, {}).items():
            if abs(time - node.first) <= _TOGETHER:
                pairs.append((abs(time - node.first), node.id, "session:%d" % number))
    names: dict[str, str] = {}
    taken = {node.id for node in sessions}
    for _distance, identity, number_id in sorted(pairs):
        if identity not in names and number_id not in taken:
            names[identity] = number_id
            taken.add(number_id)
    return names
