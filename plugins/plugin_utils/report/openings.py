# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that were opened for a while: for whom, why, from where, when, and whether anybody came in."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import finding_commands
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, format_time
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_states import MAYBE_OPEN

LIMIT = 200

_STATES = {
    "opening": "not known",
    "unknown": "not known",
    "open": "open",
    "closed": "closed",
    "expired": "its time was over",
    "replaced": "replaced by another",
}


@dataclasses.dataclass(frozen=True)
class Opening:
    """An opening as the store has it. Times are seconds since the epoch; packets: None if unknown.

    request: the id of its request.
    """

    host: str
    ports: tuple[str, ...]
    protocol: str
    sources: tuple[str, ...]
    requested_for: str
    asked_by: str
    approved_by: str
    why: str
    state: str
    opened: float
    ended: float | None
    packets: int | None
    bytes: int | None
    last: float | None
    request: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table of openings. command: for sh, closes an open one, "" for others."""

    host: str
    ports: str
    sources: str
    whom: str
    people: str
    why: str
    opened: float
    ended: float | None
    state: str
    used: str
    is_used: bool | None
    command: str


def rows(openings: t.Iterable[Opening], store: str | None = None) -> list[Row]:
    """Return the rows of the table, the newest opening first. store: the URL for commands, None for the default."""
    return [_row(opening, store) for opening in sorted(openings, key=lambda opening: (-opening.opened, opening.host))]


def _row(opening: Opening, store: str | None) -> Row:
    protocol = "tcp+udp" if opening.protocol == "both" else opening.protocol
    return Row(
        host=opening.host,
        ports=", ".join(f"{port}/{protocol}" for port in opening.ports),
        sources=", ".join(opening.sources),
        whom=opening.requested_for,
        people=_people(opening),
        why=opening.why,
        opened=opening.opened,
        ended=opening.ended,
        state=_STATES.get(opening.state, opening.state),
        used=_used(opening),
        is_used=None if opening.packets is None else opening.packets > 0,
        command=_command(opening, store),
    )


def _command(opening: Opening, store: str | None) -> str:
    commands = finding_commands.close_opening(opening.request, store) if opening.state in MAYBE_OPEN else []
    return commands[0].command if commands else ""


def _people(opening: Opening) -> str:
    if opening.asked_by == opening.approved_by:
        return f"asked and approved by {opening.asked_by}, and nobody else"
    return f"asked by {opening.asked_by}, approved by {opening.approved_by}"


def _used(opening: Opening) -> str:
    if opening.packets is None:
        return "not known"
    if opening.packets == 0:
        return "never used"
    last = f", last on {format_time(opening.last)}" if opening.last is not None else ""
    return f"{counted(opening.packets, 'packet')}, {counted(opening.bytes or 0, 'byte')}{last}"
