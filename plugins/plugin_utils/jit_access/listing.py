# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to open ports as lines for a terminal, each with the command for the next step."""

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import finding_commands
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.columns import Column, aligned
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import format_time, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitRequest

_COLUMNS = (
    Column("STATE", 10),
    Column("HOST", 28, middle=True),
    Column("PORTS", 20, shrinks=12),
    Column("FOR", 24, shrinks=12),
    Column("UNTIL", 17),
    Column("USED", 8),
    Column("WHY", 60, shrinks=12),
)
_WAITING = ("requested", "approved")
_OPEN = ("opening", "open", "unknown")
_WIDTH = 120
_MOST = 200


def lines(requests: t.Sequence[JitRequest], store: str | None) -> list[str]:
    """Return a table of requests, and below it a line for each that may be approved, opened or closed.

    The line has the command that closes what is open, and otherwise the id, which the playbook jit_open needs. The
    table has no room for ids. store: the URL for the commands.
    """
    if not requests:
        return ["No request or opening matches: nothing is open, approved or waiting for a decision."]
    shown = requests[:_MOST]
    text = aligned(_COLUMNS, [_row(each) for each in shown], _WIDTH)
    if len(requests) > len(shown):
        text.append(f"and {len(requests) - len(shown):,} more")
    for each in shown:
        if each.state in _WAITING:
            identifier = shlex.quote(visible(each.id, 80))
            text.append(f"{visible(each.host, 80)} {visible(_ports(each), 80)}: {each.state}: jit_request={identifier}")
        for command in finding_commands.close_opening(each.id, store) if each.state in _OPEN else ():
            text.append(f"{visible(each.host, 80)} {visible(_ports(each), 80)}: {command.title}: {command.command}")
    return text


def _row(request: JitRequest) -> tuple[str, ...]:
    end = request.until if request.until is not None else request.valid_until
    return (
        request.state,
        request.host,
        _ports(request),
        request.requested_for,
        f"{format_time(end)}Z",
        "yes" if request.used_packets else "no" if request.used_packets == 0 else "unknown",
        request.justification,
    )


def _ports(request: JitRequest) -> str:
    return f"{','.join(request.ports)}/{request.protocol}"
