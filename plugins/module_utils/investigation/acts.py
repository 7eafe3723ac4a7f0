# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a file's past: who changed it, and whether it is older than all events."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation import web_requests
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.graph import Graph
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import BY_SUDO, Link, Node

# Seconds between a record and the time that the file system keeps.
_SLACK = 2.0
_DAY = 86_400.0
_LONGEST_SESSION = 43_200.0


def is_written_by_others(graph: Graph, identity: str, time: float | None, members: t.Container[str]) -> bool:
    """Say whether it is known who changed a file or startup at a time, and all of these are no members.

    Audit records and commands of sudo name them. Without these, it is an account that changed a file of its own while
    it was signed in. A file that changed near in time is a guess for what nobody recorded: here it is none.
    """
    kind, _colon, path = identity.partition(":")
    if time is None or kind not in ("file", "startup"):
        return False
    file = "file:" + path
    writers = [
        link.source
        for link in graph.links(file)
        if link.target == file and link.time is not None and abs(link.time - time) <= _SLACK and _is_writing(link)
    ]
    writers = writers or _owners(graph, identity, time, members)
    return bool(writers) and not any(writer in members for writer in writers)


def _is_writing(link: Link) -> bool:
    return link.relation == "wrote" or (link.relation == "mentions" and link.by.startswith(BY_SUDO))


def _owners(graph: Graph, identity: str, time: float, members: t.Container[str]) -> list[str]:
    """Return the sessions in which the account that has a file was signed in then; none if a member runs as it."""
    node = graph.node(identity)
    uid = node.facts.get("uid") if node is not None else None
    if not uid:
        return []
    account = "account:%d" % uid
    sessions = []
    for link in graph.links(account):
        if link.relation == "runs_as" and link.source.startswith("process:") and link.source in members:
            return []
        session = graph.node(link.source) if link.relation == "runs_as" and link.source.startswith("session:") else None
        if session is not None and session.first is not None and 0 <= time + _SLACK - session.first <= _LONGEST_SESSION:
            sessions.append(session.id)
    return sessions


def is_of_sign_in(graph: Graph, process: str) -> bool:
    """Say whether somebody who signed in started a process, with no web server between: no request started it."""
    passed: set[str] = set()
    is_signed_in = False
    while process:
        node = graph.node(process)
        if node is not None and web_requests.is_server(node):
            return False
        passed.add(process)
        starters = []
        for link in graph.links(process):
            if link.relation == "started" and link.target == process:
                starters.append(link.source)
            elif link.relation == "belongs_to" and link.target.startswith("session:"):
                is_signed_in = True
        process = next((each for each in starters if each.startswith("process:") and each not in passed), "")
    return is_signed_in


def was_there_before(node: Node, since: float | None) -> bool:
    """Say whether a file was not touched from a day before ``since`` on; False if that is unknown.

    The kernel sets the time of the last change, which no account can turn back.
    """
    changed = node.facts.get("changed")
    return since is not None and isinstance(changed, float) and changed < since - _DAY


def is_old_key(graph: Graph, startup: Node, link: Link) -> bool:
    """Say whether a key let somebody in a day before its file was changed: whoever changed it brought another one.

    A shorter time proves nothing: who brought a key and used it can touch the file once more. link: from the session to
    the key file; it has the key in ``by``.
    """
    changed = startup.facts.get("changed")
    if not isinstance(changed, float):
        return False
    for each in graph.links(startup.id):
        session = graph.node(each.source) if (each.relation, each.by) == ("mentions", link.by) else None
        if session is not None and session.first is not None and session.first < changed - _DAY:
            return True
    return False
