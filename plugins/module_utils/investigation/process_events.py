# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of the timeline that processes and audit records give."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.audit_history import SignIn
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_graph import (
    ProcessGraph,
    command_line,
    process_node,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    ACCEPTED,
    BOUND,
    Contact,
    Process,
)

_AUDIT, _PROC = "audit", "proc"


def of(graph: ProcessGraph, nodes: t.Mapping[str, Node], sign_ins: t.Sequence[SignIn]) -> list[Event]:
    """Return the events of the processes and sessions among some nodes."""
    events: list[Event] = []
    for identity in nodes:
        process = graph.process(identity)
        if process is not None:
            events.extend(_of_process(graph, process, nodes))
    for sign_in in sign_ins:
        session = "session:%d" % sign_in.session
        if session in nodes:
            source = " from %s" % printable(sign_in.address) if sign_in.address else ""
            text = "%s signed in%s through %s (session %d)" % (
                printable(sign_in.account),
                source,
                printable(sign_in.program),
                sign_in.session,
            )
            events.append(Event(sign_in.time, _AUDIT, text, (session, "address:" + printable(sign_in.address))))
    return events


def _of_process(graph: ProcessGraph, process: Process, nodes: t.Mapping[str, Node]) -> t.Iterator[Event]:
    identity = process.id
    label = process_node(process).label
    for program in process.programs:
        if program.arguments:
            yield Event(program.time, _AUDIT, "%s executed: %s" % (label, command_line(program.arguments)), (identity,))
    if process.live is not None and not process.programs:
        line = command_line(process.arguments) or label
        yield Event(process.first, _PROC, "%s was started: %s" % (label, line), (identity,))
    for act in process.acts:
        file = graph.file_id(process, act.path)
        # Files that every process reads, such as the loader's cache, say nothing about this one.
        if file in nodes:
            text = "%s %s %s (%s)" % (label, act.how, printable(act.path), act.call)
            yield Event(act.time, _AUDIT, text, (identity, file))
    for contact in process.contacts:
        if contact.time is not None:
            yield Event(contact.time, _AUDIT, "%s %s" % (label, _words(contact)), (identity,))


def _words(contact: Contact) -> str:
    address = "[%s]:%d" if ":" in contact.address else "%s:%d"
    peer = address % (contact.address, contact.port)
    if contact.how == BOUND:
        return "bound to %s" % peer
    if contact.how == ACCEPTED:
        return "accepted a connection from %s" % peer
    return "connected to %s" % peer
